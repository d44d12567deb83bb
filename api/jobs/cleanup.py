"""What has to be looked at now and then: jobs past their retention, files without a job, jobs that lost their place."""

import asyncio
from functools import partial

from shared.errors import QueueUnavailable, QueueUnreadable
from shared.logs import get_logger
from shared.queue.queue import Queue
from shared.storage.storage import Storage

_EVERY_S = 60.0

#: Files are left alone for so long, since an upload becomes a job, and a job's work a file, only after a while.
_STRAY_S = 3600.0

#: What was cancelled so recently is erased once more, since a worker that was at it may just have written a file.
_CANCELLED_MS = 180_000


async def run_cleanup(queue: Queue, storage: Storage, retention_s: float) -> None:
    """Sweep once a minute until cancelled. Several replicas may do it at the same time."""
    while True:
        # Each on its own: a file that cannot be removed must not keep lost tasks from being found.
        for sweep in (
            partial(restore_tasks, queue),
            partial(expire_jobs, queue, storage, retention_s),
            partial(erase_cancelled, queue, storage),
            partial(remove_strays, queue, storage),
        ):
            try:
                await sweep()
            except QueueUnavailable:
                pass  # the next round will see to it
            except QueueUnreadable as error:
                get_logger().error("queue_unreadable", reason=str(error.__cause__))
            except OSError as error:
                get_logger().error("housekeeping_failed", reason=error.strerror)
        await asyncio.sleep(_EVERY_S)


async def restore_tasks(queue: Queue) -> None:
    """Put back what has lost its place. It never should have: it is an error wherever it happens."""
    if restored := await queue.audit():
        get_logger().error("tasks_restored", tasks=restored)


async def expire_jobs(queue: Queue, storage: Storage, retention_s: float) -> int:
    """Erase the jobs that ended longer ago than `retention_s`, files and all; how many."""
    expired = await queue.ended_before(round(retention_s * 1000))
    for job_id in expired:
        await erase_job(queue, storage, job_id)
    if expired:
        get_logger().info("jobs_expired", count=len(expired))
    return len(expired)


async def erase_job(queue: Queue, storage: Storage, job_id: str, *, with_turn: bool = False) -> bool:
    """Remove a job that has ended: first its files, then what Redis knows, so that no file is ever without a job; and
    its turn of a conversation or not, which is kept for a time of its own. False if it has gone already, or is being
    tried again."""
    await asyncio.to_thread(storage.erase, job_id)
    return await queue.erase(job_id, with_turn=with_turn)


async def erase_cancelled(queue: Queue, storage: Storage) -> None:
    """Erase what a worker wrote after its job had been cancelled."""
    for job_id in await queue.cancelled_within(_CANCELLED_MS):
        await asyncio.to_thread(storage.erase, job_id)


async def remove_strays(queue: Queue, storage: Storage, older_than_s: float = _STRAY_S) -> None:
    """Remove files that no job knows of, and the segments of answers that are whole."""
    await asyncio.to_thread(storage.remove_partial_files, older_than_s)
    await asyncio.to_thread(storage.prune_cache)  # left by an API that died while it erased
    for job_id in await asyncio.to_thread(storage.job_ids_on_disk, older_than_s):
        try:
            job = await queue.job(job_id)
        except QueueUnreadable:  # its files go with it, at the end of its time
            continue
        if job is None or job.status == "cancelled":
            await asyncio.to_thread(storage.erase, job_id)
        elif job.status == "completed":  # a failed one may be tried again, and needs what it has
            await asyncio.to_thread(storage.erase_segments, job_id)
