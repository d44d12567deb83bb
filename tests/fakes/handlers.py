"""Handlers without an engine, for tests of the worker's runtime."""

import asyncio
from collections.abc import Awaitable, Callable

from shared.queue.events import SegmentEvent
from shared.queue.messages import Claim, Outcome, WorkerInfo
from shared.queue.stages import Stage
from shared.worker.handler import RecordStep


class FakeHandler:
    """Records its claims and does the work that the test passes."""

    def __init__(self, work: Callable[[Claim], Awaitable[Outcome]] | None = None, stage: Stage = "stt") -> None:
        self.info = WorkerInfo(stage, "fake", "fake")
        self.started: list[Claim] = []
        self.cancelled: list[Claim] = []
        self._work = work or transcribe

    async def handle(self, claim: Claim, _record_step: RecordStep) -> Outcome:
        return await self._record(claim, self._work(claim))

    async def _record(self, claim: Claim, work: Awaitable[Outcome]) -> Outcome:
        self.started.append(claim)
        try:
            return await work
        except asyncio.CancelledError:
            self.cancelled.append(claim)
            raise


class FakeWriter(FakeHandler):
    """An LLM handler that records its work step by step."""

    def __init__(self, write: Callable[[Claim, RecordStep], Awaitable[Outcome]]) -> None:
        super().__init__(stage="llm")
        self._write = write

    async def handle(self, claim: Claim, record_step: RecordStep) -> Outcome:
        return await self._record(claim, self._write(claim, record_step))


async def synthesize(claim: Claim) -> Outcome:
    """Do the work of the TTS stage: each segment's output is its input, and the joined file is the list of them."""
    if claim.part == "join":
        return Outcome({"audio_path": claim.input})
    index = int(claim.part or 0)
    return Outcome(part=(index, claim.input), events=[SegmentEvent(index, 1.0, claim.input)])


async def transcribe(_claim: Claim) -> Outcome:
    """Do the work of the STT stage without looking at the recording."""
    return Outcome({"transcript": "done"})
