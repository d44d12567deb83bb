"""A worker whose handler has `handle_batch`: one call for a claimed batch, a separate end for each of its tasks."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from fakes.handlers import FakeHandler
from shared.errors import EngineCrashed, NoSpeech
from shared.queue.messages import Claim, Outcome
from shared.worker.handler import BatchResults, RecordStep
from support.running_worker import run_worker, wait_until_ended
from support.wait import async_wait_until

pytestmark = pytest.mark.redis


class BatchingHandler(FakeHandler):
    """Takes batches of up to four tasks, and returns once the gate is open."""

    def __init__(self) -> None:
        super().__init__()
        self.info = replace(self.info, batch=4)
        self.gate = asyncio.Event()
        self.batches: list[list[str]] = []
        self.singles: list[str] = []
        self.ended_calls = 0
        self.cancelled_calls = 0
        self.special: dict[str, Exception | None] = {}
        self.crash_batches = False

    async def handle(self, claim: Claim, record_step: RecordStep) -> Outcome:
        self.singles.append(claim.job_id)
        return Outcome({"transcript": "single"})

    async def handle_batch(self, claims: Sequence[Claim], is_cancelled: Callable[[Claim], bool]) -> BatchResults:
        self.batches.append([claim.job_id for claim in claims])
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.cancelled_calls += 1
            raise
        self.ended_calls += 1
        if self.crash_batches:
            raise EngineCrashed
        return [self.special.get(claim.job_id, Outcome({"transcript": "batched"})) for claim in claims]


@pytest.fixture
async def handler(monkeypatch: pytest.MonkeyPatch) -> BatchingHandler:
    monkeypatch.setattr("shared.worker.backoff.BACKOFF_S", 0.001)
    return BatchingHandler()


async def test_claimed_batch_is_one_call(driver, queue, handler):
    """All tasks of a claimed batch go to one `handle_batch`, and each job gets its own result."""
    handler.gate.set()
    jobs = [await driver.submit() for _ in range(4)]
    async with run_worker(queue, handler):
        transcripts = [(await wait_until_ended(queue, job_id)).transcript for job_id in jobs]
    assert transcripts == ["batched"] * 4
    assert handler.batches == [jobs]
    assert handler.singles == []
    assert driver.places() == {}


async def test_single_task_is_not_batched(driver, queue, handler):
    """A task that arrives alone goes to `handle` at once."""
    async with run_worker(queue, handler):
        for _ in range(2):
            assert (await wait_until_ended(queue, await driver.submit())).transcript == "single"
    assert handler.batches == []


async def test_next_batch_waits_for_the_whole_batch(driver, queue, handler):
    """No second batch is claimed while one is in the engine."""
    jobs = [await driver.submit() for _ in range(6)]
    async with run_worker(queue, handler):
        await async_wait_until(lambda: handler.batches)
        await asyncio.sleep(0.2)
        assert [len(batch) for batch in handler.batches] == [4]
        handler.gate.set()
        for job_id in jobs:
            assert (await wait_until_ended(queue, job_id)).status == "completed"
    assert [len(batch) for batch in handler.batches] == [4, 2]


async def test_failed_task_leaves_the_others(driver, queue, handler):
    """A claim whose result is an error fails its job; the other jobs complete."""
    jobs = [await driver.submit() for _ in range(3)]
    handler.special = {jobs[1]: NoSpeech()}
    handler.gate.set()
    async with run_worker(queue, handler):
        finished = [await wait_until_ended(queue, job_id) for job_id in jobs]
    assert [job.status for job in finished] == ["completed", "failed", "completed"]
    assert finished[1].error.code == "no_speech"


async def test_task_without_a_result_is_handled_alone(driver, queue, handler):
    """A claim whose result is None goes to `handle` within the same attempt."""
    jobs = [await driver.submit() for _ in range(3)]
    handler.special = {jobs[1]: None}
    handler.gate.set()
    async with run_worker(queue, handler):
        finished = [await wait_until_ended(queue, job_id) for job_id in jobs]
    assert [job.transcript for job in finished] == ["batched", "single", "batched"]
    assert [job.attempts for job in finished] == [{"stt": 1}] * 3
    assert handler.singles == [jobs[1]]


async def test_cancelled_job_leaves_the_others(driver, queue, handler):
    """A job cancelled during the call ends for itself; the call goes on for the other jobs."""
    jobs = [await driver.submit() for _ in range(3)]
    async with run_worker(queue, handler) as worker:
        await async_wait_until(lambda: handler.batches)
        await queue.cancel(jobs[0])
        await async_wait_until(lambda: not worker._runner.is_running({f"stt:{jobs[0]}"}))
        handler.gate.set()
        statuses = [(await wait_until_ended(queue, job_id)).status for job_id in jobs]
    assert statuses == ["cancelled", "completed", "completed"]
    assert (handler.ended_calls, handler.cancelled_calls) == (1, 0)
    assert driver.places() == {}


async def test_call_ends_when_all_its_jobs_are_cancelled(driver, queue, handler):
    """The engine does not compute for jobs that are all cancelled, and the worker takes new jobs."""
    jobs = [await driver.submit() for _ in range(3)]
    async with run_worker(queue, handler):
        await async_wait_until(lambda: handler.batches)
        for job_id in jobs:
            await queue.cancel(job_id)
        await async_wait_until(lambda: handler.cancelled_calls)
        assert (await wait_until_ended(queue, await driver.submit())).status == "completed"


async def test_retried_tasks_run_alone(driver, queue, handler):
    """After a crash under a batch, each of its tasks is tried again on its own and succeeds."""
    handler.crash_batches = True
    handler.gate.set()
    jobs = [await driver.submit() for _ in range(3)]
    async with run_worker(queue, handler):
        finished = [await wait_until_ended(queue, job_id) for job_id in jobs]
    assert [(job.status, job.transcript, job.attempts) for job in finished] == [("completed", "single", {"stt": 2})] * 3
    assert handler.batches == [jobs]
    assert sorted(handler.singles) == sorted(jobs)


async def test_stopping_worker_releases_the_batch(driver, queue, handler):
    """A batch that outlives the grace period is released: its call is cancelled and no attempt is counted."""
    jobs = [await driver.submit() for _ in range(3)]
    async with run_worker(queue, handler, grace_s=0.1):
        await async_wait_until(lambda: handler.batches)
    assert handler.cancelled_calls == 1
    assert sorted(driver.placed_tasks()) == sorted(f"stt:{job_id}" for job_id in jobs)
    assert (await driver.claim("stt-2")).attempt == 1
