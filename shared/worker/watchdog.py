"""Ending a process whose event loop hangs, so that whatever started it starts it anew."""

import asyncio
import faulthandler
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from shared.background import cancel_all

#: A loop that has stood still for so long will not come back: an engine blocks it, say. Its leases have run out.
STUCK_S = 15.0


@asynccontextmanager
async def watchdog() -> AsyncIterator[None]:
    """While the block lasts, a loop that stands still for `STUCK_S` ends the process with 1, and with a traceback that
    shows where it hung. The timer is a thread without Python in it: not even a held interpreter lock stops it."""
    proving = asyncio.create_task(_prove_alive())
    try:
        yield
    finally:
        await cancel_all([proving])
        faulthandler.cancel_dump_traceback_later()


async def _prove_alive() -> None:
    while True:
        faulthandler.dump_traceback_later(STUCK_S, exit=True)
        await asyncio.sleep(1)
