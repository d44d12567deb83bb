"""Batches: the call of a handler for several claims whose results are awaited, cancelled and failed one by one."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

from shared.queue.messages import Claim, Outcome

#: The result for each claim of a batch; None leaves the claim to the handler's `handle`.
BatchResults = Sequence[Outcome | Exception | None]


@runtime_checkable
class BatchHandler(Protocol):
    """A handler that can serve several claims in less time than one after the other."""

    async def handle_batch(self, claims: Sequence[Claim], is_cancelled: Callable[[Claim], bool]) -> BatchResults:
        """Return an outcome or error for each claim, in their order; None leaves a claim to `handle`.

        Only first attempts are batched. A claim that `is_cancelled` meanwhile needs no result. An error that is raised
        fails every claim.
        """
        ...


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
