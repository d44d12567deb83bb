"""Waiting for a job to change, with one subscription in Redis for all waiting clients of this process."""

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

from shared.errors import QueueUnavailable
from shared.queue.job import Job
from shared.queue.queue import Queue

_RECONNECT_S = 0.5

#: With this many long polls open, further ones are short: each holds a connection, and other requests need some.
_MAX_LONG_POLLS = 500

#: The time that a short poll waits.
_SHORT_POLL_S = 1.0


class ChangeListener:
    """Passes each change of a job to the tasks that wait for it."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self._waiting: dict[str, set[asyncio.Event]] = defaultdict(set)
        self._polling = 0

    async def listen(self) -> None:
        """Follow the queue's changes until cancelled, through outages of Redis."""
        while True:
            try:
                async for job_id in self._queue.changes():
                    self._wake(job_id)
            except QueueUnavailable:
                await asyncio.sleep(_RECONNECT_S)

    @contextmanager
    def watch(self, job_id: str) -> Iterator[asyncio.Event]:
        """An event that is set whenever the job has changed, or may have."""
        changed = asyncio.Event()
        self._waiting[job_id].add(changed)
        try:
            yield changed
        finally:
            self._waiting[job_id].discard(changed)
            if not self._waiting[job_id]:
                del self._waiting[job_id]

    async def wait_for_end(self, job_id: str, timeout_s: float) -> Job | None:
        """The job once it has ended, or as it is after `timeout_s`, or after a second while too many clients wait; None
        if there is no such job."""
        if self._polling >= _MAX_LONG_POLLS:
            timeout_s = min(timeout_s, _SHORT_POLL_S)
        self._polling += 1
        try:
            return await self._wait_for_end(job_id, timeout_s)
        finally:
            self._polling -= 1

    async def _wait_for_end(self, job_id: str, timeout_s: float) -> Job | None:
        deadline = asyncio.get_running_loop().time() + timeout_s
        with self.watch(job_id) as changed:
            job = await self._queue.job(job_id)
            while job and not job.has_ended:
                # Around the wait alone: redis-py may lose a cancellation that arrives during one of its commands.
                try:
                    async with asyncio.timeout_at(deadline):
                        await changed.wait()
                except TimeoutError:
                    return await self._queue.job(job_id)
                changed.clear()
                job = await self._queue.job(job_id)
            return job

    def _wake(self, job_id: str) -> None:
        # The empty id means that the subscription is new: any job may have changed before it.
        changed_ids = [job_id] if job_id else list(self._waiting)
        for changed_id in changed_ids:
            for changed in self._waiting.get(changed_id, ()):
                changed.set()
