"""The task runner: one attempt at each claimed task, from the handler's call to its commit or failure."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TypeVar

from structlog.typing import FilteringBoundLogger

from shared.background import cancel_all
from shared.errors import CascadeError, EngineCrashed, EngineError, EngineTimeout, QueueUnavailable, QueueUnreadable
from shared.logs import get_logger
from shared.queue.messages import Claim, Outcome
from shared.queue.queue import Queue
from shared.worker.backoff import RECONNECT_S, backoff_s
from shared.worker.claim_loop import ClaimLoop, Slots
from shared.worker.handler import BatchCall, BatchHandler, Handler, Steps

#: How long a stopping worker tries to release a task. Another worker reclaims it otherwise.
RELEASE_TIMEOUT_S = 2.0

ReplyT = TypeVar("ReplyT")


class TaskRunner:
    """Runs claimed batches; each task is committed, fails or is cancelled separately."""

    def __init__(
        self,
        queue: Queue,
        worker: str,
        handler: Handler,
        claim_loop: ClaimLoop,
        slots: Slots,
        running: dict[str, asyncio.Task[None]],
        max_attempts: int,
    ) -> None:
        """`running` is filled with the tasks that run, by name."""
        self._queue = queue
        self._worker = worker
        self._handler = handler
        self._claim_loop = claim_loop
        self._slots = slots
        self._running = running
        self._max_attempts = max_attempts
        self._in_engine: set[str] = set()  # running tasks whose handler has not returned
        self._log = get_logger().bind(stage=handler.info.stage, worker=worker)

    def start(self, batch: list[Claim]) -> None:
        """Run the batch, whose slot is released when its last task has ended and no next batch was claimed."""
        call = self._batch_call(batch)
        for claim in list(batch):  # a copy, since each leaves the batch when it is done
            if claim.task in self._running:  # reclaimed while this worker was paused, and claimed by it again
                self._running[claim.task].cancel()
            self._in_engine.add(claim.task)
            self._running[claim.task] = asyncio.create_task(self._work(claim, batch, call))

    def in_engine(self) -> set[str]:
        """The running tasks whose handler has not returned."""
        return set(self._in_engine)

    def cancel(self, task: str) -> None:
        """Cancel a task, unless it is being committed."""
        if task in self._in_engine:
            self._running[task].cancel()

    def is_running(self, tasks: set[str]) -> bool:
        """Return whether all of `tasks` are running."""
        return tasks <= self._running.keys()

    async def drain(self, grace_s: float) -> None:
        """Wait until all tasks have ended; after `grace_s`, cancel and release the others."""
        try:
            async with asyncio.timeout(grace_s):
                while self._running:
                    await asyncio.wait(self._running.values())
        except TimeoutError:
            await cancel_all(list(self._running.values()))

    def abort(self) -> None:
        """Cancel all tasks, so that they are released."""
        for task in self._running.values():
            task.cancel()

    async def persist(self, verb: Callable[[], Awaitable[ReplyT]]) -> ReplyT:
        """Call a verb of the queue until Redis has answered. Each verb recognizes a repeated call."""
        while True:
            try:
                return await verb()
            except QueueUnavailable:
                self._claim_loop.reconcile()
                await asyncio.sleep(RECONNECT_S)

    def _batch_call(self, batch: list[Claim]) -> BatchCall | None:
        """The shared call of the batch's first attempts. A retry runs alone: it may have crashed a batch's engine."""
        if len(batch) == 1 or not isinstance(self._handler, BatchHandler):
            return None
        first_attempts = [claim for claim in batch if claim.attempt == 1]
        return BatchCall(self._handler, first_attempts) if len(first_attempts) > 1 else None

    async def _work(self, claim: Claim, batch: list[Claim], call: BatchCall | None) -> None:
        """Run one attempt. The last one of its batch starts the next batch, or releases the slot."""
        log = self._log.bind(job=claim.job_id, task=claim.task, attempt=claim.attempt)
        log.info("task_started")
        started = time.monotonic()
        following: list[Claim] = []
        steps = Steps(lambda step: self.persist(lambda: self._queue.commit_partial(self._worker, claim, step)))
        try:
            try:
                outcome = await self._handle(claim, call, steps)
            finally:
                if self._is_current(claim):
                    self._in_engine.discard(claim.task)
            if steps.recorded:
                outcome = replace(outcome, steps=steps.recorded)
            verdict, following = await self._commit(claim, outcome, is_last=batch == [claim])
            log.info("task_finished", verdict=verdict, worked_s=round(time.monotonic() - started, 3))
        except asyncio.CancelledError:  # the job was cancelled, the task reclaimed, or the grace period is over
            await self._release(claim, log)
        except CascadeError as error:
            await self._fail(claim, error, log)
        except Exception:  # a bug here or in an engine's library: the job fails, the worker goes on
            log.exception("handler_raised")
            await self._fail(claim, EngineError(), log)
        finally:
            if self._is_current(claim):
                del self._running[claim.task]
            batch.remove(claim)
            if following:
                self.start(following)
            elif not batch:
                self._slots.release()

    async def _handle(self, claim: Claim, call: BatchCall | None, steps: Steps) -> Outcome:
        if call is not None and claim in call and (outcome := await call.result(claim)) is not None:
            return outcome
        return await self._handler.handle(claim, steps.record)

    def _is_current(self, claim: Claim) -> bool:
        """Return whether the caller is this worker's latest attempt at the task."""
        return self._running.get(claim.task) is asyncio.current_task()

    async def _commit(self, claim: Claim, outcome: Outcome, *, is_last: bool) -> tuple[str, list[Claim]]:
        """Commit, and where possible claim the next batch in the same round trip; the verdict and that batch."""
        if is_last and self._claim_loop.can_claim_next():
            try:
                return await self._claim_loop.commit_and_claim(claim, outcome)
            except (QueueUnavailable, QueueUnreadable):
                pass  # a repeated commit has the same verdict
        return await self.persist(lambda: self._queue.commit(self._worker, claim, outcome)), []

    async def _fail(self, claim: Claim, error: CascadeError, log: FilteringBoundLogger) -> None:
        """Reschedule the task, or move it to the dead letters."""
        crashed = isinstance(error, EngineCrashed | EngineTimeout)
        attempts = claim.attempt - claim.uncounted_attempts if error.counts_as_attempt else claim.attempt
        can_retry = error.retryable and attempts < self._max_attempts * error.attempts_factor
        delay_s = backoff_s(claim.attempt, error) if can_retry else None

        def record_failure() -> Awaitable[str]:
            if delay_s is None:
                return self._queue.dead_letter(self._worker, claim, error.code, error.public_message)
            return self._queue.reschedule(
                self._worker, claim, delay_s, error.code, crashed=crashed, counts_as_attempt=error.counts_as_attempt
            )

        try:
            log.warning("task_failed", verdict=await self.persist(record_failure), code=error.code, delay_s=delay_s)
        except QueueUnreadable:
            await self.persist(lambda: self._claim_loop.quarantine(claim.task))

    async def _release(self, claim: Claim, log: FilteringBoundLogger) -> None:
        try:
            verdict = await asyncio.wait_for(self._queue.release(self._worker, claim), RELEASE_TIMEOUT_S)
        except (QueueUnavailable, QueueUnreadable, TimeoutError):
            verdict = "left_to_reclaim"
        log.info("task_released", verdict=verdict)
