"""The steps of one attempt at a task that is worked on piece by piece."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

from shared.queue.messages import Outcome

#: Records a step of a task that goes on. Raises CancelledError where the task is no longer this attempt's.
Extend = Callable[[Outcome], Awaitable[None]]


class Steps:
    """Numbers them, so that one that is said twice counts once, and one that Redis has lost is missed."""

    def __init__(self, extend: Callable[[Outcome], Awaitable[str]]) -> None:
        self.recorded = 0
        self._extend = extend

    async def record(self, step: Outcome) -> None:
        if await self._extend(replace(step, steps=self.recorded)) != "extended":
            raise asyncio.CancelledError  # as the next beat would have it
        self.recorded += 1
