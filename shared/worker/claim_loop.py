"""The claim loop: claims batches while slots are free, and starts held tasks whose claim's reply was lost."""

import asyncio
import secrets
from collections.abc import Callable, Container

from shared.errors import QueueUnavailable, QueueUnreadable
from shared.logs import get_logger
from shared.queue.messages import Claim, Outcome, WorkerInfo
from shared.queue.queue import Queue
from shared.worker.backoff import RECONNECT_S

#: How long a batch with room waits for more tasks, if there was a queue at all.
BATCH_WAIT_S = 0.005


class Slots:
    """A limit on the batches that run at a time. Only one caller may wait in `acquire`; `close` ends its wait."""

    def __init__(self, count: int) -> None:
        self.is_closed = False
        self._free = count
        self._changed = asyncio.Event()

    async def acquire(self) -> bool:
        """Wait for a free slot and take it; False once closed."""
        while not self._free and not self.is_closed:
            self._changed.clear()
            await self._changed.wait()
        if self.is_closed:
            return False
        self._free -= 1
        return True

    def release(self) -> None:
        self._free += 1
        self._changed.set()

    def close(self) -> None:
        self.is_closed = True
        self._changed.set()


class ClaimLoop:
    """Claims tasks for one worker. At most one of its calls claims at a time.

    A task that Redis lists as held, but that is not running, was in a lost reply: the loop starts it too.
    """

    def __init__(self, queue: Queue, worker: str, info: WorkerInfo, slots: Slots, running: Container[str]) -> None:
        """`running` are the names of the tasks that the worker runs."""
        self._queue = queue
        self._worker = worker
        self._info = info
        self._slots = slots
        self._running = running
        self._claim_lock = asyncio.Lock()
        self._must_reconcile = False
        self._unclaimed_held: list[str] = []
        self._next_token = _new_token()
        self._log = get_logger().bind(stage=info.stage, worker=worker)

    async def run(self, start: Callable[[list[Claim]], None]) -> None:
        """Claim batches and pass each to `start`, which releases the batch's slot, until `stop`."""
        while await self._slots.acquire():
            if batch := await self._claim_batch():
                start(batch)
            else:
                self._slots.release()

    def stop(self) -> None:
        """Claim nothing more; a claim in progress is still started."""
        self._slots.close()

    def reconcile(self) -> None:
        """Look for held tasks that are not running before the next claim: a reply may have been lost."""
        self._must_reconcile = True

    def can_claim_next(self) -> bool:
        """Return whether a commit may also claim: no other call is claiming, and all held tasks are accounted for."""
        if self._slots.is_closed or self._claim_lock.locked():
            return False
        return not self._must_reconcile and not self._unclaimed_held

    async def commit_and_claim(self, claim: Claim, outcome: Outcome) -> tuple[str, list[Claim]]:
        """Commit, and claim the next batch in the same round trip; the commit's verdict and that batch.

        Raises:
            QueueUnavailable, QueueUnreadable: the commit may have happened; the latter may be about the next task.
        """
        try:
            async with self._claim_lock:
                verdict, next_claim = await self._queue.commit_and_claim(self._worker, claim, outcome, self._next_token)
                return verdict, await self._fill_batch(next_claim)
        except (QueueUnavailable, QueueUnreadable):
            self.reconcile()
            raise

    async def quarantine(self, task: str | None) -> None:
        """Move a held task that no script can read to the dead letters: `task`, or the one that was just claimed."""
        if task is None:
            task = next((held for held in await self._queue.held(self._worker) if held not in self._running), None)
        if task is None or not await self._queue.quarantine(self._worker, task):
            await asyncio.sleep(RECONNECT_S)  # the list itself is unreadable: nothing can be done but wait
        self._log.error("task_unreadable", task=task)

    async def _claim_batch(self) -> list[Claim]:
        """The next batch; empty if no task came within a second."""
        try:
            async with self._claim_lock:
                return await self._fill_batch(await self._next_claim())
        except (QueueUnavailable, QueueUnreadable):  # the latter if this worker's held list is unreadable
            self.reconcile()
            await asyncio.sleep(RECONNECT_S)
            return []

    async def _next_claim(self) -> Claim | None:
        """Start an attempt at a held task that is not running, else at the stage's next task."""
        if self._must_reconcile:  # no other call claims meanwhile, so that what is not running came in a lost reply
            held = await self._queue.held(self._worker)
            self._unclaimed_held = [task for task in held if task not in self._running]
            self._must_reconcile = False
        unclaimed = self._unclaimed_held.pop() if self._unclaimed_held else None
        try:
            if unclaimed:
                return await self._queue.begin(self._worker, self._info.stage, self._next_token, unclaimed)
            return await self._queue.claim(self._worker, self._info.stage, self._next_token)
        except QueueUnreadable:
            await self.quarantine(unclaimed)
            return None

    async def _fill_batch(self, first: Claim | None) -> list[Claim]:
        """`first`, if there is one, and more waiting tasks up to the handler's batch size."""
        if first is None:
            return []
        self._next_token = _new_token()
        batch = [first]
        size = self._info.batch if first.waiting else 1
        try:
            if len(batch) < size:
                batch += await self._claim_more(size - len(batch))
            if len(batch) < size:
                await asyncio.sleep(BATCH_WAIT_S)
                batch += await self._claim_more(size - len(batch))
        except (QueueUnavailable, QueueUnreadable):
            self.reconcile()
        return batch

    async def _claim_more(self, count: int) -> list[Claim]:
        tokens = [_new_token() for _ in range(count)]
        return await self._queue.claim_more(self._worker, self._info.stage, tokens)


def _new_token() -> str:
    """A token of 128 random bits, in a third of the time of `uuid4`."""
    return secrets.token_hex(16)
