"""Whether there is room for one more job, asked before its recording is received."""

import math

from api.problems.render import Problem
from shared.errors import QueueFull
from shared.queue.messages import QueueStats
from shared.queue.queue import Queue

#: Who is refused should come back to some room, or all would be refused again.
_ROOM = 0.1

_LEAST_S, _MOST_S = 1, 600

#: Where nothing has ended yet, nobody knows better.
_UNKNOWN_S = 30


async def admit(queue: Queue, max_live: int, idempotency_key: str) -> None:
    """Pass while there is room, and always what has been accepted before. The queue decides again, atomically, when the
    recording is there.

    Raises:
        QueueFull: as many jobs are live as may be.
        Problem: Redis has no memory for more.
        QueueUnavailable: Redis does not answer.
    """
    load = await queue.stats()
    if load.live < max_live and not load.memory_full:
        return
    if idempotency_key and await queue.has_key(idempotency_key):
        return
    if load.live >= max_live:
        raise full(load, max_live)
    detail = "The job queue has no memory left for more jobs. Try again later."
    raise Problem(503, "queue_memory_full", detail, {"Retry-After": str(_pause_s(load, max_live))})


def full(load: QueueStats, max_live: int) -> QueueFull:
    """The refusal, with the time after which it is worth asking again."""
    return QueueFull(retry_after_s=_pause_s(load, max_live))


def _pause_s(load: QueueStats, max_live: int) -> int:
    """Until a tenth of all jobs have ended, at the rate of the last minute."""
    if not load.ended_per_s:
        return _UNKNOWN_S
    return min(max(math.ceil(_ROOM * max_live / load.ended_per_s), _LEAST_S), _MOST_S)
