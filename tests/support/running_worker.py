"""A worker at work within a test, and what the test waits for."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from fakes.handlers import FakeHandler
from shared.queue.job import Job
from shared.queue.queue import Queue
from shared.worker.worker import Worker


@asynccontextmanager
async def running(queue: Queue, handler: FakeHandler, **options: object) -> AsyncIterator[Worker]:
    """A worker at work, stopped at the end of the block."""
    worker = Worker(queue, handler, **{"max_attempts": 5, "grace_s": 5.0} | options)
    task = asyncio.create_task(worker.run())
    try:
        yield worker
    finally:
        worker.stop()
        await asyncio.wait_for(task, 20)


async def until(condition: Callable[[], Awaitable[object]], within_s: float = 15) -> None:
    async with asyncio.timeout(within_s):
        while not await condition():  # noqa: ASYNC110 (what is waited for happens in Redis)
            await asyncio.sleep(0.02)


async def ended(queue: Queue, job_id: str) -> Job:
    async def has_ended() -> bool:
        job = await queue.job(job_id)
        return job is not None and job.has_ended

    await until(has_ended)
    job = await queue.job(job_id)
    assert job is not None
    return job
