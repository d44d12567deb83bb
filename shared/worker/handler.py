"""The interface between the task runner and a stage's handler: single tasks, partial commits and batches."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Protocol, runtime_checkable

from shared.queue.messages import Claim, Outcome, WorkerInfo

#: Records a step of a running task. Raises CancelledError if the task no longer belongs to this attempt.
RecordStep = Callable[[Outcome], Awaitable[None]]

#: The result for each claim of a batch; None leaves the claim to the handler's `handle`.
BatchResults = Sequence[Outcome | Exception | None]


class Handler(Protocol):
    """Does the work of a stage's task. An exception that is no CascadeError counts as an engine's failure."""

    info: WorkerInfo

    async def handle(self, claim: Claim, record_step: RecordStep) -> Outcome: ...


@runtime_checkable
class BatchHandler(Protocol):
    """A handler that can serve several claims in less time than one after the other."""

    async def handle_batch(self, claims: Sequence[Claim], is_cancelled: Callable[[Claim], bool]) -> BatchResults:
        """Return an outcome or error for each claim, in their order; None leaves a claim to `handle`.

        Only first attempts are batched. A claim that `is_cancelled` meanwhile needs no result. An error that is raised
        fails every claim.
        """
        ...


class Steps:
    """Numbers an attempt's steps, so that a repeated one counts once, and a step that Redis has lost is noticed."""

    def __init__(self, commit_partial: Callable[[Outcome], Awaitable[str]]) -> None:
        self.recorded = 0
        self._commit_partial = commit_partial

    async def record(self, step: Outcome) -> None:
        if await self._commit_partial(replace(step, steps=self.recorded)) != "recorded":
            raise asyncio.CancelledError  # as the next heartbeat would
        self.recorded += 1


class BatchCall:
    """One call of `handle_batch`. Ends when all of its claims are cancelled."""

    def __init__(self, handler: BatchHandler, claims: Sequence[Claim]) -> None:
        loop = asyncio.get_running_loop()
        self._results: dict[str, asyncio.Future[Outcome | None]] = {
            claim.task: loop.create_future() for claim in claims
        }
        self._call = asyncio.create_task(self._run(handler, claims))
        self._call.add_done_callback(self._deliver)
        for result in self._results.values():
            result.add_done_callback(self._cancel_if_unused)

    def __contains__(self, claim: Claim) -> bool:
        return claim.task in self._results

    async def result(self, claim: Claim) -> Outcome | None:
        """The claim's outcome, or None if `handle` must serve it. Cancelling this wait cancels the claim.

        Raises:
            Exception: the claim's error, or that of the whole call.
        """
        return await self._results[claim.task]

    async def _run(self, handler: BatchHandler, claims: Sequence[Claim]) -> dict[str, Outcome | Exception | None]:
        results = await handler.handle_batch(claims, lambda claim: self._results[claim.task].cancelled())
        return dict(zip((claim.task for claim in claims), results, strict=True))

    def _deliver(self, call: "asyncio.Task[dict[str, Outcome | Exception | None]]") -> None:
        error = None if call.cancelled() else call.exception()
        for task, result in self._results.items():
            if result.done():  # the claim was cancelled
                continue
            if call.cancelled():
                result.cancel()
            elif error is not None:
                result.set_exception(error)
            elif isinstance(outcome := call.result()[task], Exception):
                result.set_exception(outcome)
            else:
                result.set_result(outcome)

    def _cancel_if_unused(self, _: asyncio.Future[Outcome | None]) -> None:
        if all(result.done() for result in self._results.values()):
            self._call.cancel()
