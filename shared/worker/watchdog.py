"""Exit of a process whose event loop hangs, so that its supervisor restarts it."""

import asyncio
import faulthandler
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from shared.background import cancel_all

#: An event loop that was blocked this long is taken as hanging: by now its worker's lease has expired.
STUCK_S = 15.0


@asynccontextmanager
async def watchdog() -> AsyncIterator[None]:
    """Exit with status 1 and a traceback if the event loop is blocked for `STUCK_S` within the block.

    The timer is a thread that runs no Python, so that even a held interpreter lock does not stop it.
    """
    rearming = asyncio.create_task(_rearm_timer())
    try:
        yield
    finally:
        await cancel_all([rearming])
        faulthandler.cancel_dump_traceback_later()


async def _rearm_timer() -> None:
    while True:
        faulthandler.dump_traceback_later(STUCK_S, exit=True)
        await asyncio.sleep(1)
