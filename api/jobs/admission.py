"""Admission: whether there is room for one more job, checked before its recording is received."""

import math

from api.problems.catalogue import Problems
from api.problems.problem import Problem
from shared.errors import QueueFull
from shared.queue.messages import QueueStats
from shared.queue.queue import Queue

#: A refused client should come back when so large a share of the jobs has ended: with less, all would be refused again.
_ROOM = 0.1

_MIN_PAUSE_S = 1
_MAX_PAUSE_S = 600

#: The pause while no job has ended yet, so that there is no rate to reckon with.
_UNKNOWN_PAUSE_S = 30


async def check_admission(queue: Queue, max_live: int, idempotency_key: str) -> None:
    """Pass while there is room, and always for a request that has been accepted before. The queue decides again,
    atomically, when the recording has been received.

    Raises:
        QueueFull: `max_live` jobs have not ended.
        Problem: Redis has no memory for more.
        QueueUnavailable: Redis does not answer.
    """
    stats = await queue.stats()
    if stats.live < max_live and not stats.memory_full:
        return
    if idempotency_key and await queue.has_key(idempotency_key):
        return
    if stats.live >= max_live:
        raise queue_full_error(stats, max_live)
    raise Problem(Problems.QUEUE_MEMORY_FULL, retry_after_s=_pause_s(stats, max_live))


def queue_full_error(stats: QueueStats, max_live: int) -> QueueFull:
    """The refusal of a job, with the time after which another try is worthwhile."""
    return QueueFull(retry_after_s=_pause_s(stats, max_live))


def _pause_s(stats: QueueStats, max_live: int) -> int:
    """The time until a tenth of all jobs have ended, at the rate of the last minute."""
    if not stats.ended_per_s:
        return _UNKNOWN_PAUSE_S
    return min(max(math.ceil(_ROOM * max_live / stats.ended_per_s), _MIN_PAUSE_S), _MAX_PAUSE_S)
