"""Ending tasks that run in the background."""

import asyncio
from collections.abc import Collection


async def end(tasks: Collection[asyncio.Task[None]], again_after_s: float = 1.0) -> None:
    """Cancel the tasks, and wait until they have ended.

    Once is not enough: a cancellation that meets redis-py in the middle of a command may get lost there, and the task
    goes on as if nothing had been said.
    """
    pending = set(tasks)
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=again_after_s)
