"""Tasks that one claim takes together: each is committed, fails or is cancelled on its own."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest

from fakes.handlers import FakeHandler
from shared.errors import NoSpeech, QueueUnavailable
from shared.queue.keys import KEYS
from shared.queue.messages import Claim, Outcome
from support.running_worker import ended, running, until

pytestmark = pytest.mark.redis


class BatchHandler(FakeHandler):
    """Takes up to four tasks at a time, and is done with none before it is let."""

    def __init__(self) -> None:
        super().__init__(self._wait)
        self.info = replace(self.info, batch=4)
        self.may_end = asyncio.Event()
        self.corrupt: set[str] = set()
        self.now = self.most = 0

    async def _wait(self, claim: Claim) -> Outcome:
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await self.may_end.wait()
            await asyncio.sleep(0.02)  # all have begun before one is done
        finally:
            self.now -= 1
        if claim.job_id in self.corrupt:
            raise NoSpeech
        return Outcome({"transcript": "done"})


async def until_equal(value: Callable[[], int], wanted: int) -> None:
    async def is_equal() -> bool:
        return value() == wanted

    await until(is_equal)


async def test_a_claim_takes_what_waits_up_to_the_batch(driver, queue):
    """Ten tasks in three batches, none of which is begun before the one before it has ended."""
    handler = BatchHandler()
    handler.may_end.set()
    jobs = [await driver.submit() for _ in range(10)]
    async with running(queue, handler):
        for job_id in jobs:
            assert (await ended(queue, job_id)).attempts == {"stt": 1}
    assert handler.most == 4
    assert driver.places() == {}


async def test_a_full_batch_leaves_the_rest_to_others(driver, queue):
    """While it computes it claims nothing more."""
    handler = BatchHandler()
    jobs = [await driver.submit() for _ in range(6)]
    async with running(queue, handler):
        await until_equal(lambda: handler.now, 4)
        await asyncio.sleep(0.2)
        assert driver.redis.llen(KEYS["QUEUE"] + "stt") == 2
        async with running(queue, second := BatchHandler()):
            await until_equal(lambda: second.now, 2)
            handler.may_end.set()
            second.may_end.set()
            for job_id in jobs:
                assert (await ended(queue, job_id)).status == "completed"


async def test_one_that_comes_alone_is_begun_at_once(driver, queue, monkeypatch):
    """There is no list to linger for, and nothing more is asked for."""
    monkeypatch.setattr(queue, "claim_more", None)
    handler = BatchHandler()
    handler.may_end.set()
    async with running(queue, handler):
        job_id = await driver.submit()
        assert (await ended(queue, job_id)).status == "completed"
        assert [claim.waiting for claim in handler.begun] == [0]


async def test_a_corrupt_member_harms_no_other(driver, queue):
    """It fails, the others complete."""
    handler = BatchHandler()
    jobs = [await driver.submit() for _ in range(3)]
    handler.corrupt = {jobs[1]}
    async with running(queue, handler):
        await until_equal(lambda: handler.now, 3)
        handler.may_end.set()
        statuses = [(await ended(queue, job_id)).status for job_id in jobs]
    assert statuses == ["completed", "failed", "completed"]


async def test_a_cancelled_member_harms_no_other(driver, queue):
    """Its own work is ended while the others go on."""
    handler = BatchHandler()
    jobs = [await driver.submit() for _ in range(3)]
    async with running(queue, handler):
        await until_equal(lambda: handler.now, 3)
        await queue.cancel(jobs[0])
        await until_equal(lambda: len(handler.cancelled), 1)
        assert [claim.job_id for claim in handler.cancelled] == [jobs[0]]
        handler.may_end.set()
        statuses = [(await ended(queue, job_id)).status for job_id in jobs]
    assert statuses == ["cancelled", "completed", "completed"]
    assert driver.places() == {}


async def test_a_batch_whose_worker_dies_is_somebody_elses(driver, queue):
    """Each of its tasks is begun once more and committed once; what the dead one would still say is stale."""
    jobs = [await driver.submit() for _ in range(3)]
    first = await driver.claim("stt-dead")
    dead = [first, *await queue.claim_more("stt-dead", "stt", ["one", "two", "three"])]
    assert [claim.job_id for claim in dead] == jobs
    assert [claim.waiting for claim in dead] == [2, 1, 0]
    driver.expire_lease("stt-dead")
    handler = BatchHandler()
    handler.may_end.set()
    async with running(queue, handler):
        for job_id in jobs:
            assert (await ended(queue, job_id)).attempts == {"stt": 2}
    for claim in dead:
        assert await queue.commit("stt-dead", claim, Outcome()) == "stale"


async def test_what_a_lost_reply_brought_is_found_again(driver, queue, monkeypatch):
    """The connection breaks when more has been claimed: it is in the worker's hands, and is begun from there."""
    whole, broken = queue.claim_more, []

    async def lose(*args: object) -> list[Claim]:
        claims: list[Claim] = await whole(*args)
        if not broken:
            broken.extend(claims)
            raise QueueUnavailable
        return claims

    monkeypatch.setattr(queue, "claim_more", lose)
    jobs = [await driver.submit() for _ in range(4)]
    handler = BatchHandler()
    handler.may_end.set()
    async with running(queue, handler):
        for job_id in jobs:
            assert (await ended(queue, job_id)).status == "completed"
    assert len(broken) == 3
    assert driver.places() == {}
