"""Waiting for a job to change: one subscription for the whole process, however many clients wait."""

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

from shared.errors import QueueUnavailable
from shared.queue.job import Job
from shared.queue.queue import Queue

_RECONNECT_S = 0.5

#: With so many long polls, each further one is answered soon: each holds a connection, and other requests need some.
_CROWD = 500

#: How long a long poll waits in such a crowd.
_SOON_S = 1.0


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
        """The job once it has ended, or as it is after `timeout_s`, or soon in a crowd; None if there is no such
        job."""
        if self._polling >= _CROWD:
            timeout_s = min(timeout_s, _SOON_S)
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
                # Around the waiting alone: a deadline that falls into a command of redis-py may get lost there.
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
        jobs = [job_id] if job_id else list(self._waiting)
        for waiting in jobs:
            for changed in self._waiting.get(waiting, ()):
                changed.set()
