"""Batches of a handler without `handle_batch`: each task of a batch ends separately."""

import asyncio
from dataclasses import replace

import pytest

from fakes.handlers import FakeHandler
from shared.errors import NoSpeech, QueueUnavailable
from shared.queue.keys import KEYS
from shared.queue.messages import Claim, Outcome
from support.running_worker import run_worker, wait_until_ended
from support.wait import async_wait_until

pytestmark = pytest.mark.redis


class GatedHandler(FakeHandler):
    """Takes up to four tasks at a time, and ends them once the gate is open."""

    def __init__(self) -> None:
        super().__init__(self._wait_for_gate)
        self.info = replace(self.info, batch=4)
        self.gate = asyncio.Event()
        self.corrupt: set[str] = set()
        self.now = 0
        self.most = 0

    async def _wait_for_gate(self, claim: Claim) -> Outcome:
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await self.gate.wait()
            await asyncio.sleep(0.02)  # all have started before one ends
        finally:
            self.now -= 1
        if claim.job_id in self.corrupt:
            raise NoSpeech
        return Outcome({"transcript": "done"})


async def test_waiting_tasks_are_claimed_in_batches(driver, queue):
    """Ten tasks are claimed in three batches of up to four, one after the other."""
    handler = GatedHandler()
    handler.gate.set()
    jobs = [await driver.submit() for _ in range(10)]
    async with run_worker(queue, handler):
        for job_id in jobs:
            assert (await wait_until_ended(queue, job_id)).attempts == {"stt": 1}
    assert handler.most == 4
    assert driver.places() == {}


async def test_full_batch_leaves_the_rest_to_other_workers(driver, queue):
    """A worker whose batch is running claims no more, and another worker takes the rest."""
    handler = GatedHandler()
    jobs = [await driver.submit() for _ in range(6)]
    async with run_worker(queue, handler):
        await async_wait_until(lambda: handler.now == 4)
        await asyncio.sleep(0.2)
        assert driver.redis.llen(KEYS["QUEUE"] + "stt") == 2
        async with run_worker(queue, second := GatedHandler()):
            await async_wait_until(lambda: second.now == 2)
            handler.gate.set()
            second.gate.set()
            for job_id in jobs:
                assert (await wait_until_ended(queue, job_id)).status == "completed"


async def test_batch_does_not_wait_for_more_jobs(driver, queue, monkeypatch):
    """A task that arrives alone is started at once, without a request for more tasks."""
    monkeypatch.setattr(queue, "claim_more", None)
    handler = GatedHandler()
    handler.gate.set()
    async with run_worker(queue, handler):
        job_id = await driver.submit()
        assert (await wait_until_ended(queue, job_id)).status == "completed"
        assert [claim.waiting for claim in handler.started] == [0]


async def test_failed_task_leaves_the_others_of_its_batch(driver, queue):
    """A task that fails does not keep the other tasks of its batch from completing."""
    handler = GatedHandler()
    jobs = [await driver.submit() for _ in range(3)]
    handler.corrupt = {jobs[1]}
    async with run_worker(queue, handler):
        await async_wait_until(lambda: handler.now == 3)
        handler.gate.set()
        statuses = [(await wait_until_ended(queue, job_id)).status for job_id in jobs]
    assert statuses == ["completed", "failed", "completed"]


async def test_cancelled_task_leaves_the_others_of_its_batch(driver, queue):
    """Cancelling one job of a batch cancels its own handler call only."""
    handler = GatedHandler()
    jobs = [await driver.submit() for _ in range(3)]
    async with run_worker(queue, handler):
        await async_wait_until(lambda: handler.now == 3)
        await queue.cancel(jobs[0])
        await async_wait_until(lambda: len(handler.cancelled) == 1)
        assert [claim.job_id for claim in handler.cancelled] == [jobs[0]]
        handler.gate.set()
        statuses = [(await wait_until_ended(queue, job_id)).status for job_id in jobs]
    assert statuses == ["cancelled", "completed", "completed"]
    assert driver.places() == {}


async def test_batch_of_a_dead_worker_is_run_by_another(driver, queue):
    """Each task of a dead worker's batch is run once more and committed once; the dead worker's commits are stale."""
    jobs = [await driver.submit() for _ in range(3)]
    first = await driver.claim("stt-dead")
    claims = [first, *await queue.claim_more("stt-dead", "stt", ["one", "two", "three"])]
    assert [claim.job_id for claim in claims] == jobs
    assert [claim.waiting for claim in claims] == [2, 1, 0]
    driver.expire_lease("stt-dead")
    handler = GatedHandler()
    handler.gate.set()
    async with run_worker(queue, handler):
        for job_id in jobs:
            assert (await wait_until_ended(queue, job_id)).attempts == {"stt": 2}
    for claim in claims:
        assert await queue.commit("stt-dead", claim, Outcome()) == "stale"


async def test_batch_of_a_lost_reply_is_run(driver, queue, monkeypatch):
    """Tasks whose claim was lost with the connection are held by the worker, which starts them from there."""
    claim_more = queue.claim_more
    lost: list[Claim] = []

    async def lose_first_reply(*args: object) -> list[Claim]:
        claims: list[Claim] = await claim_more(*args)
        if not lost:
            lost.extend(claims)
            raise QueueUnavailable
        return claims

    monkeypatch.setattr(queue, "claim_more", lose_first_reply)
    jobs = [await driver.submit() for _ in range(4)]
    handler = GatedHandler()
    handler.gate.set()
    async with run_worker(queue, handler):
        for job_id in jobs:
            assert (await wait_until_ended(queue, job_id)).status == "completed"
    assert len(lost) == 3
    assert driver.places() == {}
