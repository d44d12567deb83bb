"""Erasing jobs: on request, and in a sweep once a minute that also removes stray files and restores lost tasks."""

import asyncio
from functools import partial

from shared.errors import JobNotFound, QueueUnavailable, QueueUnreadable
from shared.logs import get_logger
from shared.queue.queue import Queue
from shared.storage.storage import Storage

_INTERVAL_S = 60.0

#: A younger file may belong to an upload that is not a job yet, or to work that is not committed yet.
_STRAY_S = 3600.0

#: The files of a job are erased again for this long after its cancellation: a worker that held one of its tasks may
#: just have written one.
_CANCELLED_MS = 180_000


async def run_cleanup(queue: Queue, storage: Storage, retention_s: float) -> None:
    """Sweep once a minute until cancelled. Several replicas may sweep at the same time."""
    while True:
        # One by one: a file that cannot be removed must not keep lost tasks from being found.
        for sweep in (
            partial(restore_tasks, queue),
            partial(expire_jobs, queue, storage, retention_s),
            partial(erase_cancelled, queue, storage),
            partial(remove_strays, queue, storage),
        ):
            try:
                await sweep()
            except QueueUnavailable:
                pass  # the next sweep tries again
            except QueueUnreadable as error:
                get_logger().error("queue_unreadable", reason=str(error.__cause__))
            except OSError as error:
                get_logger().error("cleanup_failed", reason=error.strerror)
        await asyncio.sleep(_INTERVAL_S)


async def restore_tasks(queue: Queue) -> None:
    """Put back tasks that are in no list. None should ever be lost, so it is logged as an error."""
    if restored := await queue.audit():
        get_logger().error("tasks_restored", tasks=restored)


async def expire_jobs(queue: Queue, storage: Storage, retention_s: float) -> int:
    """Erase the jobs that ended longer ago than `retention_s`, with their files. Return their number."""
    expired = await queue.ended_before(round(retention_s * 1000))
    for job_id in expired:
        await erase_job(queue, storage, job_id)
    if expired:
        get_logger().info("jobs_expired", count=len(expired))
    return len(expired)


async def cancel_job(queue: Queue, storage: Storage, job_id: str) -> None:
    """Cancel a job if it still runs, and erase its texts, audio and turn of a conversation.

    Raises:
        JobNotFound: there is no such job.
    """
    verdict = await queue.cancel(job_id)
    if verdict == "gone":
        raise JobNotFound
    while verdict == "job_ended" and not await erase_job(queue, storage, job_id, with_turn=True):
        verdict = await queue.cancel(job_id)  # it was retried meanwhile
    if verdict == "cancelled":
        await asyncio.to_thread(storage.erase, job_id)
    get_logger().info("job_deleted", job=job_id, verdict=verdict)


async def erase_job(queue: Queue, storage: Storage, job_id: str, *, with_turn: bool = False) -> bool:
    """Erase a job that has ended: first its files, then its record in Redis, so that no file is ever without a job.
    With `with_turn`, erase its turn of a conversation too, which otherwise expires with the conversation. Return False
    if the job is gone already, or is being retried."""
    await asyncio.to_thread(storage.erase, job_id)
    return await queue.erase(job_id, with_turn=with_turn)


async def erase_cancelled(queue: Queue, storage: Storage) -> None:
    """Erase files that a worker wrote after the job had been cancelled."""
    for job_id in await queue.cancelled_within(_CANCELLED_MS):
        await asyncio.to_thread(storage.erase, job_id)


async def remove_strays(queue: Queue, storage: Storage, older_than_s: float = _STRAY_S) -> None:
    """Remove files without a job, and the segments of answers that are complete."""
    await asyncio.to_thread(storage.remove_partial_files, older_than_s)
    await asyncio.to_thread(storage.prune_cache)  # entries left by an API that died while it erased a job
    for job_id in await asyncio.to_thread(storage.job_ids_on_disk, older_than_s):
        try:
            job = await queue.job(job_id)
        except QueueUnreadable:  # its files are erased with it, when its retention ends
            continue
        if job is None or job.status == "cancelled":
            await asyncio.to_thread(storage.erase, job_id)
        elif job.status == "completed":  # a failed one may be retried, and needs its segments
            await asyncio.to_thread(storage.erase_segments, job_id)
