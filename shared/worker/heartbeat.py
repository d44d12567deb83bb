"""The heartbeat: renews the worker's lease, and cancels tasks that the worker no longer holds."""

from pathlib import Path

from shared.queue.messages import WorkerInfo
from shared.queue.queue import Queue
from shared.worker.claim_loop import ClaimLoop
from shared.worker.runner import TaskRunner

#: Interval of the heartbeat, and so the longest time until a worker finds out that a job was cancelled.
BEAT_S = 0.5


class Heartbeat:
    """Compares the tasks that a worker holds with those that it runs, at every beat."""

    def __init__(
        self,
        queue: Queue,
        worker: str,
        info: WorkerInfo,
        claim_loop: ClaimLoop,
        runner: TaskRunner,
        health_file: Path | None,
    ) -> None:
        self._queue = queue
        self._worker = worker
        self._info = info
        self._claim_loop = claim_loop
        self._runner = runner
        self._health_file = health_file

    async def beat(self) -> None:
        """Renew the lease once."""
        in_engine = self._runner.in_engine()  # before the request, so that a task claimed meanwhile is not missing
        held = set(await self._queue.heartbeat(self._worker, self._info))
        for task in in_engine - held:  # its job was cancelled, or it was reclaimed while this worker was paused
            self._runner.cancel(task)
        if not self._runner.is_running(held):
            self._claim_loop.reconcile()
        if self._health_file is not None:
            self._health_file.touch()
