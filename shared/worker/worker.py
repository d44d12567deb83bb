"""The worker's runtime, one for all stages: claim, compute, commit; beat; sweep; stop in good order."""

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Protocol, TypeVar
from uuid import uuid4

import structlog

from shared.background import cancel_all
from shared.errors import CascadeError, EngineCrashed, EngineError, EngineTimeout, QueueUnavailable, QueueUnreadable
from shared.queue.messages import Claim, Outcome, WorkerInfo
from shared.queue.queue import Queue
from shared.worker.backoff import backoff_s
from shared.worker.steps import Extend, Steps

#: How often a worker says that it lives, and hears which of its jobs were cancelled.
BEAT_S = 0.5

#: How often it looks for workers that do not, and for tasks that are due again.
SWEEP_S = 1.0

#: Between two tries to reach Redis.
RECONNECT_S = 0.25

#: How long a batch that has room waits for more, if there was a queue at all.
LINGER_S = 0.005

#: How long a worker that stops tries to hand a task back. It is reclaimed otherwise.
GIVE_BACK_S = 2.0

ReplyT = TypeVar("ReplyT")


class Handler(Protocol):
    """What a stage does with a task. Whatever it raises that is not a CascadeError counts as a failed engine."""

    info: WorkerInfo

    async def handle(self, claim: Claim, extend: Extend) -> Outcome: ...


class Worker:
    """Runs a warm handler on the tasks of its stage until it is told to stop."""

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
        self.name = f"{handler.info.stage}-{socket.gethostname()}-{uuid4().hex[:8]}"
        self._queue, self._handler, self._stage = queue, handler, handler.info.stage
        self._max_attempts, self._grace_s, self._health_file = max_attempts, grace_s, health_file
        self._log = structlog.get_logger().bind(stage=self._stage, worker=self.name)
        self._free = asyncio.Semaphore(concurrency)
        self._stopping = asyncio.Event()
        self._running: dict[str, asyncio.Task[None]] = {}  # tasks in this worker's hands
        self._computing: set[str] = set()  # those of them that have not come to their commit
        self._astray: list[str] = []  # held, but not running: the reply that brought them was lost
        self._in_doubt = False  # whether there may be such tasks
        self._token = uuid4().hex  # of the next attempt
        self._taking = asyncio.Lock()  # held by the one call under way that may bring a task

    async def run(self) -> None:
        """Announce the worker, work until `stop`, finish or hand back what it holds, and leave."""
        await self._persist(self._beat)
        self._log.info("worker_ready", engine=self._handler.info.engine, model=self._handler.info.model)
        chores = (self._beat, BEAT_S), (self._sweep, SWEEP_S)
        background = [asyncio.create_task(self._repeat(chore, every_s)) for chore, every_s in chores]
        claiming = asyncio.create_task(self._claim_until_stopped())
        try:
            # A worker without a heartbeat, or that claims no more, must not live on: whichever ends first ends it.
            done, _ = await asyncio.wait([claiming, *background], return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
            await self._drain()
        finally:
            await cancel_all([claiming, *background])
        with suppress(QueueUnavailable, QueueUnreadable, TimeoutError):
            await asyncio.wait_for(self._queue.deregister(self.name, self._stage), timeout=5)
        self._log.info("worker_stopped")

    def stop(self) -> None:
        """Claim nothing more. Called a second time: hand back at once what is being computed."""
        if self._stopping.is_set():
            self._abort()
        self._stopping.set()
        self._free.release()  # wakes a loop that waits for room

    # Claiming

    async def _claim_until_stopped(self) -> None:
        while True:
            await self._free.acquire()
            if self._stopping.is_set():
                return
            batch: list[Claim] = []
            try:
                async with self._taking:
                    batch = await self._batch_from(await self._next_claim())
            except (QueueUnavailable, QueueUnreadable):  # the latter where what is in its own hands cannot be read
                self._in_doubt = True
                await asyncio.sleep(RECONNECT_S)
            if batch:
                self._start(batch)
            else:
                self._free.release()

    def _start(self, batch: list[Claim]) -> None:
        self._token = uuid4().hex
        for claim in list(batch):  # a copy, since each leaves the batch when it is done
            if claim.task in self._running:  # reclaimed while this worker was paused, and come back to it
                self._running[claim.task].cancel()
            self._computing.add(claim.task)
            self._running[claim.task] = asyncio.create_task(self._work(claim, batch))

    async def _next_claim(self) -> Claim | None:
        """The next task to run. What is held but not running is astray, since no other call brings one meanwhile."""
        if self._in_doubt:
            self._astray = [task for task in await self._queue.held(self.name) if task not in self._running]
            self._in_doubt = False
        named = self._astray.pop() if self._astray else None
        try:
            if named:
                return await self._queue.begin(self.name, self._stage, self._token, named)
            return await self._queue.claim(self.name, self._stage, self._token)
        except QueueUnreadable:
            await self._quarantine(named)
            return None

    async def _batch_from(self, first: Claim | None) -> list[Claim]:
        """`first`, if there is one, and as much of what waits behind it as the handler takes at a time."""
        if first is None:
            return []
        batch, size = [first], self._handler.info.batch if first.waiting else 1
        try:
            if len(batch) < size:
                batch += await self._queue.claim_more(self.name, self._stage, _tokens(size - len(batch)))
            if len(batch) < size:
                await asyncio.sleep(LINGER_S)
                batch += await self._queue.claim_more(self.name, self._stage, _tokens(size - len(batch)))
        except (QueueUnavailable, QueueUnreadable):
            self._in_doubt = True
        return batch

    async def _quarantine(self, task: str | None) -> None:
        """Set aside what has just come, or the task that is named: no script can make sense of it."""
        if task is None:  # what runs is not what has just come
            task = next((held for held in await self._queue.held(self.name) if held not in self._running), None)
        if task is None or not await self._queue.quarantine(self.name, task):
            await asyncio.sleep(RECONNECT_S)  # what cannot be read is the list itself: there is nothing to do but wait
        self._log.error("task_unreadable", task=task)

    # Working

    async def _work(self, claim: Claim, batch: list[Claim]) -> None:
        """See a task through. The last of its batch makes room for the next one."""
        log = self._log.bind(job=claim.job_id, task=claim.task, attempt=claim.attempt)
        log.info("task_begun")
        started = time.monotonic()
        following: list[Claim] = []
        steps = Steps(lambda step: self._persist(lambda: self._queue.commit_partial(self.name, claim, step)))
        try:
            try:
                outcome = await self._handler.handle(claim, steps.record)
            finally:
                if self._is_current(claim):
                    self._computing.discard(claim.task)
            outcome = replace(outcome, steps=steps.recorded)
            verdict, following = await self._commit(claim, outcome, is_last=batch == [claim])
            log.info(f"task_{verdict}", worked_s=round(time.monotonic() - started, 3))
        except asyncio.CancelledError:  # the job was cancelled, the task reclaimed, or the grace period is over
            await self._give_back(claim, log)
        except CascadeError as error:
            await self._fail(claim, error, log)
        except Exception:  # a bug of ours or an engine's library: the job must hear of it, and the worker live on
            log.exception("task_raised")
            await self._fail(claim, EngineError(), log)
        finally:
            if self._is_current(claim):
                del self._running[claim.task]
            batch.remove(claim)
            if following:
                self._start(following)
            elif not batch:
                self._free.release()

    def _is_current(self, claim: Claim) -> bool:
        """Whether the caller is this worker's latest attempt at the task."""
        return self._running.get(claim.task) is asyncio.current_task()

    async def _commit(self, claim: Claim, outcome: Outcome, *, is_last: bool) -> tuple[str, list[Claim]]:
        """Commit; and unless somebody else is at it, claim the next task in the same round trip."""
        if is_last and not (self._taking.locked() or self._in_doubt or self._astray or self._stopping.is_set()):
            try:
                async with self._taking:
                    verdict, next_claim = await self._queue.commit_and_claim(self.name, claim, outcome, self._token)
                    return verdict, await self._batch_from(next_claim)
            except (QueueUnavailable, QueueUnreadable):  # the latter may be said of the next task
                self._in_doubt = True
        return await self._persist(lambda: self._queue.commit(self.name, claim, outcome)), []

    async def _fail(self, claim: Claim, error: CascadeError, log: structlog.typing.FilteringBoundLogger) -> None:
        """Have the task done again later, or set it aside."""
        crashed = isinstance(error, EngineCrashed | EngineTimeout)
        tries = claim.attempt - claim.uncounted_attempts if error.counts_as_attempt else claim.attempt
        again = error.retryable and tries < self._max_attempts * error.attempts_factor
        delay_s = backoff_s(claim.attempt, error) if again else None

        def give_up() -> Awaitable[str]:
            if delay_s is None:
                return self._queue.dead_letter(self.name, claim, error.code, error.public_message)
            return self._queue.reschedule(
                self.name, claim, delay_s, error.code, crashed=crashed, counts_as_attempt=error.counts_as_attempt
            )

        try:
            log.warning(f"task_{await self._persist(give_up)}", code=error.code, delay_s=delay_s)
        except QueueUnreadable:
            await self._persist(lambda: self._quarantine(claim.task))

    async def _give_back(self, claim: Claim, log: structlog.typing.FilteringBoundLogger) -> None:
        try:
            verdict = await asyncio.wait_for(self._queue.release(self.name, claim), GIVE_BACK_S)
        except (QueueUnavailable, QueueUnreadable, TimeoutError):
            verdict = "left_to_reclaim"
        log.info(f"task_{verdict}")

    async def _persist(self, verb: Callable[[], Awaitable[ReplyT]]) -> ReplyT:
        """Say it until Redis has answered. Each verb knows a repeated call."""
        while True:
            try:
                return await verb()
            except QueueUnavailable:
                self._in_doubt = True
                await asyncio.sleep(RECONNECT_S)

    # Living

    async def _repeat(self, chore: Callable[[], Awaitable[None]], every_s: float) -> None:
        away = False
        while True:
            try:
                await chore()
                if away:
                    self._log.info("queue_back")
                away = False
            except QueueUnavailable:
                if not away:
                    self._log.warning("queue_unavailable")
                away = True
            except QueueUnreadable as error:
                self._log.error("queue_unreadable", reason=str(error.__cause__))
            await asyncio.sleep(every_s)

    async def _beat(self) -> None:
        computing = set(self._computing)  # as of before the question, so that what is claimed meanwhile is not missed
        held = set(await self._queue.heartbeat(self.name, self._handler.info))
        for task in computing - held:  # cancelled, or reclaimed while this worker was paused
            if task in self._computing:
                self._running[task].cancel()
        if held - self._running.keys():
            self._in_doubt = True
        if self._health_file is not None:
            self._health_file.touch()

    async def _sweep(self) -> None:
        await self._queue.promote()
        for task in await self._queue.reclaim():
            self._log.warning("task_reclaimed", task=task)

    # Stopping

    async def _drain(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(self._grace_s):
                while self._running:
                    await asyncio.wait(self._running.values())
        await cancel_all(list(self._running.values()))

    def _abort(self) -> None:
        for task in self._running.values():
            task.cancel()


def _tokens(count: int) -> list[str]:
    return [uuid4().hex for _ in range(count)]
