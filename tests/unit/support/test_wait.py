"""The helper that tests wait with."""

import itertools
from collections.abc import Callable, Iterator

import pytest

from support.wait import async_wait_until, wait_until


@pytest.fixture
def third_call() -> Callable[[], int]:
    """A condition that returns 3 when it is called for the third time, and 0 before."""
    counter = itertools.count(1)
    return lambda: 3 if next(counter) == 3 else 0


def test_waiting_ends_with_the_conditions_value(third_call: Callable[[], int]) -> None:
    assert wait_until(third_call, poll_s=0) == 3


async def test_waiting_without_blocking_ends_with_the_conditions_value(third_call: Callable[[], int]) -> None:
    assert await async_wait_until(third_call, poll_s=0) == 3


async def test_a_coroutine_function_is_awaited(third_call: Callable[[], int]) -> None:
    async def condition() -> int:
        return third_call()

    assert await async_wait_until(condition, poll_s=0) == 3


def raising(*errors: Exception) -> Callable[[], bool]:
    """A condition that raises one error a call, and then holds."""
    remaining: Iterator[Exception] = iter(errors)

    def condition() -> bool:
        for error in remaining:
            raise error
        return True

    return condition


async def test_an_ignored_exception_prolongs_the_wait() -> None:
    assert wait_until(raising(OSError(), OSError()), poll_s=0, ignored=(OSError,))
    assert await async_wait_until(raising(OSError(), OSError()), poll_s=0, ignored=(OSError,))


async def test_another_exception_ends_the_wait() -> None:
    with pytest.raises(ValueError, match="broken"):
        wait_until(raising(ValueError("broken")), ignored=(OSError,))
    with pytest.raises(ValueError, match="broken"):
        await async_wait_until(raising(ValueError("broken")), ignored=(OSError,))


async def test_a_condition_that_never_holds_fails_with_its_description() -> None:
    with pytest.raises(AssertionError, match=r"within 0.01 s: 2 of 3$"):
        wait_until(lambda: False, 0.01, poll_s=0, describe=lambda: "2 of 3")
    with pytest.raises(AssertionError, match=r"within 0.01 s: 2 of 3$"):
        await async_wait_until(lambda: False, 0.01, poll_s=0, describe=lambda: "2 of 3")
