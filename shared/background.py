"""Background tasks: start with a stop on failure, and cancellation."""

import asyncio
import signal
from collections.abc import AsyncIterator, Collection, Coroutine
from contextlib import AbstractContextManager, asynccontextmanager
from typing import TypeVar

from shared.logs import get_logger

ValueT = TypeVar("ValueT")

#: A task that still runs this long after its cancellation is cancelled again. An orderly end takes less: a worker tries
#: to release a task for 2 s.
_CANCEL_AGAIN_S = 5.0


def start_background(work: Coroutine[None, None, None]) -> asyncio.Task[None]:
    """Run `work` for as long as the process lives, and stop the process if it fails.

    A supervisor restarts the process; without the stop, a service without its background work would look healthy.
    """
    task = asyncio.create_task(work)
    task.add_done_callback(_stop_on_error)
    return task


def _stop_on_error(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()):
        get_logger().critical("background_task_failed", exc_info=error)
        signal.raise_signal(signal.SIGTERM)


async def cancel_all(tasks: Collection[asyncio.Task[None]]) -> None:
    """Cancel the tasks and wait until they have ended.

    Before Python 3.12 `asyncio.wait_for`, and so redis-py, may lose a cancellation that arrives as its call ends, and
    the process would never stop. So a task that still runs is cancelled again.
    """
    running = set(tasks)
    while running:
        for task in running:
            task.cancel()
        _, running = await asyncio.wait(running, timeout=_CANCEL_AGAIN_S)
    await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def in_thread(context: AbstractContextManager[ValueT]) -> AsyncIterator[ValueT]:
    """Enter and leave a context that blocks, each in a thread, so that the event loop is not blocked."""
    value = await asyncio.to_thread(context.__enter__)
    try:
        yield value
    except BaseException as error:
        if not await asyncio.to_thread(context.__exit__, type(error), error, error.__traceback__):
            raise
    else:
        await asyncio.to_thread(context.__exit__, None, None, None)
