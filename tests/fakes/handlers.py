"""Handlers with nothing behind them, for tests of the worker's runtime."""

import asyncio
from collections.abc import Awaitable, Callable

from shared.queue.events import SegmentEvent
from shared.queue.messages import Claim, Outcome, WorkerInfo
from shared.queue.stages import Stage
from shared.worker.handler import RecordStep


class FakeHandler:
    """Counts what it is given, and does what the test says."""

    def __init__(self, do: Callable[[Claim], Awaitable[Outcome]] | None = None, stage: Stage = "stt") -> None:
        self.info = WorkerInfo(stage, "fake", "fake")
        self.begun: list[Claim] = []
        self.cancelled: list[Claim] = []
        self._do = do

    async def handle(self, claim: Claim, _record_step: RecordStep) -> Outcome:
        return await self._watched(claim, self._do(claim) if self._do else _done())

    async def _watched(self, claim: Claim, work: Awaitable[Outcome]) -> Outcome:
        self.begun.append(claim)
        try:
            return await work
        except asyncio.CancelledError:
            self.cancelled.append(claim)
            raise


class FakeWriter(FakeHandler):
    """Records its work step by step."""

    def __init__(self, write: Callable[[Claim, RecordStep], Awaitable[Outcome]]) -> None:
        super().__init__(stage="llm")
        self._write = write

    async def handle(self, claim: Claim, record_step: RecordStep) -> Outcome:
        return await self._watched(claim, self._write(claim, record_step))


async def speak(claim: Claim) -> Outcome:
    """What the last stage does: each part's output is its input."""
    if claim.part == "join":
        return Outcome({"audio_path": claim.input})
    return Outcome(
        part=(int(claim.part or 0), claim.input), events=[SegmentEvent(int(claim.part or 0), 1.0, claim.input)]
    )


async def _done() -> Outcome:
    return Outcome({"transcript": "done"})
