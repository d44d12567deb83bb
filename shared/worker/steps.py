"""Partial commits of one attempt, such as the segments of an answer while the model still writes."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

from shared.queue.messages import Outcome

#: Records a step of a running task. Raises CancelledError if the task no longer belongs to this attempt.
Extend = Callable[[Outcome], Awaitable[None]]


class Steps:
    """Numbers the steps, so that a repeated one counts once, and a step that Redis has lost is noticed."""

    def __init__(self, extend: Callable[[Outcome], Awaitable[str]]) -> None:
        self.recorded = 0
        self._extend = extend

    async def record(self, step: Outcome) -> None:
        if await self._extend(replace(step, steps=self.recorded)) != "extended":
            raise asyncio.CancelledError  # as the next heartbeat would
        self.recorded += 1
