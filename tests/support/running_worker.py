"""Workers that run within a test, and the wait for their jobs."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fakes.handlers import FakeHandler
from shared.queue.job import Job
from shared.queue.queue import Queue
from shared.worker.worker import Worker
from support.wait import async_wait_until


@asynccontextmanager
async def run_worker(queue: Queue, handler: FakeHandler, **options: object) -> AsyncIterator[Worker]:
    """Run a worker until the end of the block."""
    async with run_workers(queue, handler, **options) as [worker]:
        yield worker


@asynccontextmanager
async def run_workers(queue: Queue, *handlers: FakeHandler, **options: object) -> AsyncIterator[list[Worker]]:
    """Run a worker for each handler until the end of the block."""
    workers = [Worker(queue, handler, **{"max_attempts": 5, "grace_s": 5.0} | options) for handler in handlers]
    tasks = [asyncio.create_task(worker.run()) for worker in workers]
    try:
        yield workers
    finally:
        for worker in workers:
            worker.stop()
        await asyncio.wait_for(asyncio.gather(*tasks), 20)


async def wait_until_ended(queue: Queue, job_id: str) -> Job:
    """Wait until a job has completed, failed or been cancelled; return it."""

    async def ended_job() -> Job | None:
        job = await queue.job(job_id)
        return job if job is not None and job.has_ended else None

    job = await async_wait_until(ended_job)
    assert job is not None
    return job
