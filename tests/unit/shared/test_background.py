"""Background tasks end when their owner stops."""

import asyncio

import pytest

from shared import background
from shared.background import cancel_all


async def test_task_that_lost_its_cancellation_is_cancelled_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A task that swallows one cancellation, as redis-py may, ends with the next one."""
    monkeypatch.setattr(background, "_CANCEL_AGAIN_S", 0.01)
    cancellations = 0

    async def lose_the_first() -> None:
        nonlocal cancellations
        while True:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                cancellations += 1
                if cancellations > 1:
                    raise

    task = asyncio.create_task(lose_the_first())
    await asyncio.sleep(0)
    await cancel_all([task])
    assert task.cancelled()
    assert cancellations == 2


async def test_orderly_end_of_a_task_is_not_interrupted() -> None:
    """A task that releases what it holds after its cancellation gets the time to do so."""
    released = False

    async def release_at_the_end() -> None:
        nonlocal released
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.05)
            released = True

    task = asyncio.create_task(release_at_the_end())
    await asyncio.sleep(0)
    await cancel_all([task])
    assert released


async def test_failed_task_does_not_keep_the_others_from_ending() -> None:
    """Cancelling several tasks ends all of them, also when one has failed before."""

    async def fail() -> None:
        raise RuntimeError

    tasks = [asyncio.create_task(fail()), asyncio.create_task(asyncio.sleep(60))]
    await asyncio.sleep(0)
    await cancel_all(tasks)
    assert all(task.done() for task in tasks)
    await cancel_all([])
