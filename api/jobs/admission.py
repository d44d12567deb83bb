"""Admission control: a new job is refused before its recording is received if the queue has no room for it."""

import math

from api.problems.catalogue import Problems
from api.problems.problem import Problem
from shared.errors import QueueFull
from shared.queue.messages import QueueStats
from shared.queue.queue import Queue

#: The share of the jobs that must end before a refused client should try again: with less, most would be refused again.
_FREED_SHARE = 0.1

_MIN_PAUSE_S = 1
_MAX_PAUSE_S = 600

#: The pause while no job has ended recently, so that the rate is unknown.
_UNKNOWN_PAUSE_S = 30


async def check_admission(queue: Queue, max_live: int, idempotency_key: str) -> None:
    """Refuse a new job if the queue has no room; a request that was accepted before always passes. The queue checks
    again, atomically, once the recording has been received.

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
    """The refusal of a job, with the time to wait before another try."""
    return QueueFull(retry_after_s=_pause_s(stats, max_live))


def _pause_s(stats: QueueStats, max_live: int) -> int:
    """The time until a tenth of all jobs have ended, at the rate of the last minute."""
    if not stats.ended_per_s:
        return _UNKNOWN_PAUSE_S
    return min(max(math.ceil(_FREED_SHARE * max_live / stats.ended_per_s), _MIN_PAUSE_S), _MAX_PAUSE_S)
