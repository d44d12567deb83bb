"""The worker's runtime, the same for all stages: heartbeat, claim loop, sweeps, and a graceful stop."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

from shared.background import cancel_all
from shared.errors import QueueUnavailable, QueueUnreadable
from shared.logs import get_logger
from shared.queue.queue import Queue
from shared.worker.claim_loop import ClaimLoop, Slots
from shared.worker.handler import Handler
from shared.worker.heartbeat import BEAT_S, Heartbeat
from shared.worker.runner import TaskRunner

#: Interval of the search for dead workers' tasks and for delayed tasks that are due.
SWEEP_S = 1.0

#: How long a stopping worker tries to leave the list of workers. Its lease expires otherwise.
_DEREGISTER_TIMEOUT_S = 5


class Worker:
    """Runs a warm handler on the tasks of its stage until `stop`."""

    def __init__(
        self,
        queue: Queue,
        handler: Handler,
        *,
        concurrency: int = 1,
        max_attempts: int,
        grace_s: float,
        health_file: Path | None = None,
    ) -> None:
        info = handler.info
        self.name = f"{info.stage}-{socket.gethostname()}-{uuid4().hex[:8]}"
        self._queue = queue
        self._info = info
        self._grace_s = grace_s
        slots = Slots(concurrency)
        running: dict[str, asyncio.Task[None]] = {}
        self._claim_loop = ClaimLoop(queue, self.name, info, slots, running)
        self._runner = TaskRunner(queue, self.name, handler, self._claim_loop, slots, running, max_attempts)
        self._heartbeat = Heartbeat(queue, self.name, info, self._claim_loop, self._runner, health_file)
        self._is_stopping = False
        self._log = get_logger().bind(stage=info.stage, worker=self.name)

    async def run(self) -> None:
        """Register the worker, work until `stop`, finish or release its tasks, and deregister."""
        await self._runner.persist(self._heartbeat.beat)
        self._log.info("worker_ready", engine=self._info.engine, model=self._info.model)
        beating = asyncio.create_task(self._repeat(self._heartbeat.beat, BEAT_S))
        sweeping = asyncio.create_task(self._repeat(self._sweep, SWEEP_S))
        claiming = asyncio.create_task(self._claim_loop.run(self._runner.start))
        loops = [beating, sweeping, claiming]
        try:
            # A worker that claims no more, or has no heartbeat, must not live on: the first loop to end ends it.
            done, _ = await asyncio.wait(loops, return_when=asyncio.FIRST_COMPLETED)
            for loop in done:
                loop.result()
            await self._runner.drain(self._grace_s)
        finally:
            await cancel_all(loops)
        with suppress(QueueUnavailable, QueueUnreadable, TimeoutError):
            await asyncio.wait_for(self._queue.deregister(self.name, self._info.stage), _DEREGISTER_TIMEOUT_S)
        self._log.info("worker_stopped")

    def stop(self) -> None:
        """Claim nothing more, and finish the running tasks. The second call releases them at once."""
        if self._is_stopping:
            self._runner.abort()
        self._is_stopping = True
        self._claim_loop.stop()

    async def _repeat(self, chore: Callable[[], Awaitable[None]], interval_s: float) -> None:
        is_unavailable = False
        while True:
            try:
                await chore()
                if is_unavailable:
                    self._log.info("queue_recovered")
                is_unavailable = False
            except QueueUnavailable:
                if not is_unavailable:
                    self._log.warning("queue_unavailable")
                is_unavailable = True
            except QueueUnreadable as error:
                self._log.error("queue_unreadable", reason=str(error.__cause__))
            await asyncio.sleep(interval_s)

    async def _sweep(self) -> None:
        await self._queue.promote()
        for task in await self._queue.reclaim():
            self._log.warning("task_reclaimed", task=task)
