"""A batch call: each claim is awaited, cancelled and failed separately."""

import asyncio
from collections.abc import Callable, Sequence

import pytest

from shared.errors import EngineCrashed, NoSpeech
from shared.queue.messages import Claim, Outcome
from shared.worker.handler import BatchCall, BatchResults

FIRST = Claim("stt:first", "token-1", 1, "", {})
SECOND = Claim("stt:second", "token-2", 1, "", {})


class GatedHandler:
    """Returns the results of the test once the gate is open."""

    def __init__(self, *results: Outcome | Exception | None) -> None:
        self.results = results
        self.error: Exception | None = None
        self.gate = asyncio.Event()
        self.was_cancelled = False
        self.cancelled_claims: list[Claim] = []

    async def handle_batch(self, claims: Sequence[Claim], is_cancelled: Callable[[Claim], bool]) -> BatchResults:
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.was_cancelled = True
            raise
        self.cancelled_claims = [claim for claim in claims if is_cancelled(claim)]
        if self.error is not None:
            raise self.error
        return self.results


def start(handler: GatedHandler) -> tuple[BatchCall, "asyncio.Task[Outcome | None]", "asyncio.Task[Outcome | None]"]:
    """Start a call for both claims, and wait for each result in a task."""
    call = BatchCall(handler, [FIRST, SECOND])
    return call, asyncio.create_task(call.result(FIRST)), asyncio.create_task(call.result(SECOND))


async def run_pending_callbacks() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_each_claim_gets_its_result() -> None:
    """The results are assigned in the order of the claims; None means that `handle` must serve the claim."""
    handler = GatedHandler(outcome := Outcome({"transcript": "hi"}), None)
    call, first, second = start(handler)
    handler.gate.set()
    assert await first is outcome
    assert await second is None
    assert FIRST in call


async def test_error_of_one_claim_leaves_the_others() -> None:
    """A result that is an exception is raised for its claim only."""
    handler = GatedHandler(NoSpeech(), outcome := Outcome())
    _, first, second = start(handler)
    handler.gate.set()
    with pytest.raises(NoSpeech):
        await first
    assert await second is outcome


async def test_raised_error_fails_every_claim() -> None:
    """An exception of `handle_batch` is raised for each claim."""
    handler = GatedHandler()
    handler.error = EngineCrashed()
    _, first, second = start(handler)
    handler.gate.set()
    results = await asyncio.gather(first, second, return_exceptions=True)
    assert [type(result) for result in results] == [EngineCrashed, EngineCrashed]


async def test_wrong_number_of_results_fails_every_claim() -> None:
    """A handler that returns too few results does not leave a claim waiting."""
    handler = GatedHandler(Outcome())
    _, first, second = start(handler)
    handler.gate.set()
    results = await asyncio.wait_for(asyncio.gather(first, second, return_exceptions=True), 5)
    assert [type(result) for result in results] == [ValueError, ValueError]


async def test_cancelled_claim_does_not_end_the_call_of_others() -> None:
    """The handler can see which claim was cancelled, and the other claim gets its result."""
    handler = GatedHandler(None, outcome := Outcome())
    _, first, second = start(handler)
    await run_pending_callbacks()
    first.cancel()
    await run_pending_callbacks()
    handler.gate.set()
    assert await second is outcome
    assert first.cancelled()
    assert handler.cancelled_claims == [FIRST]
    assert not handler.was_cancelled


async def test_call_ends_when_every_claim_is_cancelled() -> None:
    """Without a claim that waits, the handler is cancelled instead of computing for no client."""
    handler = GatedHandler()
    _, *waits = start(handler)
    await run_pending_callbacks()
    for wait in waits:
        wait.cancel()
    await asyncio.gather(*waits, return_exceptions=True)
    await run_pending_callbacks()
    assert handler.was_cancelled


async def test_handler_that_cancels_itself_cancels_every_claim() -> None:
    """A call that ends by cancellation leaves no claim waiting, so that the worker releases the tasks."""
    handler = GatedHandler()
    call, first, second = start(handler)
    await run_pending_callbacks()
    call._call.cancel()
    await asyncio.wait_for(asyncio.gather(first, second, return_exceptions=True), 5)
    assert first.cancelled()
    assert second.cancelled()
