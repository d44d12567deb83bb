"""Running what can be interrupted: it cleans up, whichever signal ends it."""

import asyncio
import signal
from collections.abc import Coroutine
from typing import Any, TypeVar

_Result = TypeVar("_Result")


def run(work: Coroutine[Any, Any, _Result]) -> _Result:
    """What the work gives. Ctrl-C and SIGTERM cancel it, and it may end what it has begun.

    Raises:
        KeyboardInterrupt: it was interrupted.
    """
    handler = signal.getsignal(signal.SIGTERM)
    try:
        return asyncio.run(_cancelled_by_sigterm(work))
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None
    finally:
        signal.signal(signal.SIGTERM, handler)


async def _cancelled_by_sigterm(work: Coroutine[Any, Any, _Result]) -> _Result:
    # asyncio does it for SIGINT. As an exception out of nowhere, a signal would fall into the middle of a clean-up.
    task = asyncio.current_task()
    if task:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await work
