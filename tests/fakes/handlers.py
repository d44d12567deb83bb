"""Handlers with nothing behind them, for tests of the worker's runtime."""

import asyncio
from collections.abc import Awaitable, Callable

from shared.steps import Extend
from shared.task import Claim, Outcome, WorkerInfo


class FakeHandler:
    """Counts what it is given, and does what the test says."""

    def __init__(self, do: Callable[[Claim], Awaitable[Outcome]] | None = None) -> None:
        self.info = WorkerInfo("stt", "fake", "fake")
        self.begun: list[Claim] = []
        self.cancelled: list[Claim] = []
        self._do = do

    async def handle(self, claim: Claim, _extend: Extend) -> Outcome:
        self.begun.append(claim)
        try:
            return await self._do(claim) if self._do else Outcome({"transcript": "done"})
        except asyncio.CancelledError:
            self.cancelled.append(claim)
            raise
