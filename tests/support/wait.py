"""Waiting until a condition holds, in tests with and without an event loop."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

#: Long enough for a loaded CI machine; only a test that fails waits this long.
TIMEOUT_S = 20.0

#: Short enough not to lengthen a test, long enough to leave the CPU to the process that is waited for.
POLL_S = 0.02


def wait_until(
    condition: Callable[[], T],
    timeout_s: float = TIMEOUT_S,
    *,
    poll_s: float = POLL_S,
    ignored: tuple[type[Exception], ...] = (),
    describe: Callable[[], object] | None = None,
) -> T:
    """Call `condition` until it returns a true value, and return that value.

    An exception of an `ignored` type counts as a false value. After `timeout_s` the test fails, and its message ends
    with what `describe` returns at that moment.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            if value := condition():
                return value
        except ignored:
            pass
        if time.monotonic() >= deadline:
            raise _failure(timeout_s, describe)
        time.sleep(poll_s)


async def async_wait_until(
    condition: Callable[[], T | Awaitable[T]],
    timeout_s: float = TIMEOUT_S,
    *,
    poll_s: float = POLL_S,
    ignored: tuple[type[Exception], ...] = (),
    describe: Callable[[], object] | None = None,
) -> T:
    """Do as `wait_until` without blocking the event loop; `condition` may be a coroutine function."""
    try:
        async with asyncio.timeout(timeout_s):
            while True:
                try:
                    value = condition()
                    if inspect.isawaitable(value):
                        value = await value
                    if value:
                        return value
                except ignored:
                    pass
                await asyncio.sleep(poll_s)
    except TimeoutError:
        raise _failure(timeout_s, describe) from None


def _failure(timeout_s: float, describe: Callable[[], object] | None) -> AssertionError:
    detail = f": {describe()}" if describe else ""
    return AssertionError(f"The condition did not hold within {timeout_s} s{detail}")
