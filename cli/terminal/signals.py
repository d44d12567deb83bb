"""Running coroutines that clean up when Ctrl-C or SIGTERM interrupts them."""

import asyncio
import signal
from collections.abc import Coroutine
from typing import Any, TypeVar

_Result = TypeVar("_Result")


def run_interruptible(work: Coroutine[Any, Any, _Result]) -> _Result:
    """Run a coroutine and return its result. Ctrl-C and SIGTERM cancel it, so that its clean-up runs.

    Raises:
        KeyboardInterrupt: it was interrupted.
    """
    handler = signal.getsignal(signal.SIGTERM)
    try:
        return asyncio.run(_cancel_on_sigterm(work))
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None
    finally:
        signal.signal(signal.SIGTERM, handler)


async def _cancel_on_sigterm(work: Coroutine[Any, Any, _Result]) -> _Result:
    # As asyncio does for SIGINT. An exception raised in a signal handler could interrupt a clean-up in the middle.
    task = asyncio.current_task()
    if task:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await work
