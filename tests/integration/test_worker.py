"""The worker's runtime when tasks fail, jobs are cancelled, Redis is away, or the worker stops."""

import asyncio

import pytest

from fakes.handlers import FakeHandler
from shared.errors import EngineCrashed, ModelUnavailable, NoSpeech, StorageFull
from shared.queue.keys import KEYS
from shared.queue.messages import Claim, Outcome
from shared.queue.queue import Queue
from support.running_worker import run_worker, wait_until_ended
from support.wait import async_wait_until

pytestmark = pytest.mark.redis


async def test_worker_runs_waiting_and_new_jobs(driver, queue):
    """Jobs that waited before the worker started, and jobs that arrive later, are all completed."""
    jobs = [await driver.submit() for _ in range(20)]
    async with run_worker(queue, FakeHandler()):
        jobs.append(await driver.submit())
        for job_id in jobs:
            assert (await wait_until_ended(queue, job_id)).status == "completed"
    assert driver.places() == {}


async def test_worker_runs_as_many_tasks_at_once_as_its_concurrency(driver, queue):
    """The concurrency setting is reached and not exceeded."""
    running_now = 0
    most = 0

    async def count(_claim: Claim) -> Outcome:
        nonlocal running_now, most
        running_now += 1
        most = max(most, running_now)
        await asyncio.sleep(0.05)
        running_now -= 1
        return Outcome()

    jobs = [await driver.submit() for _ in range(12)]
    async with run_worker(queue, FakeHandler(count), concurrency=4):
        for job_id in jobs:
            await wait_until_ended(queue, job_id)
    assert most == 4


async def test_retryable_error_is_tried_again(driver, queue):
    """A task with a retryable error is rescheduled and succeeds; its attempts are counted."""

    async def fail_once(claim: Claim) -> Outcome:
        if claim.attempt == 1:
            raise ModelUnavailable
        return Outcome({"transcript": "second attempt"})

    job_id = await driver.submit()
    async with run_worker(queue, FakeHandler(fail_once)):
        job = await wait_until_ended(queue, job_id)
    assert (job.status, job.transcript, job.attempts) == ("completed", "second attempt", {"stt": 2})


async def test_retry_waits_for_the_upstreams_retry_after(driver, queue):
    """A task whose upstream sent Retry-After is due no earlier."""

    async def fail(_claim: Claim) -> Outcome:
        raise ModelUnavailable(retry_after_s=120)

    await driver.submit()
    async with run_worker(queue, FakeHandler(fail)):
        await async_wait_until(lambda: driver.redis.zcard(KEYS["DELAYED"]))
    [(_, due_ms)] = driver.redis.zrange(KEYS["DELAYED"], 0, -1, withscores=True)
    seconds, _ = driver.redis.time()
    assert 100 < due_ms / 1000 - seconds <= 121


async def test_full_disk_is_tried_four_times_as_often(driver, queue, monkeypatch):
    """A job that meets a full disk fails after four times MAX_ATTEMPTS, since no job is its cause."""
    monkeypatch.setattr("shared.worker.backoff.BACKOFF_S", 0.001)

    async def fail_without_room(_claim: Claim) -> Outcome:
        raise StorageFull

    job_id = await driver.submit()
    async with run_worker(queue, FakeHandler(fail_without_room), max_attempts=2):
        job = await wait_until_ended(queue, job_id)
    assert (job.status, job.error.code, job.attempts) == ("failed", "storage_full", {"stt": 8})


async def test_attempts_that_met_a_full_disk_do_not_count(driver, queue, monkeypatch):
    """After attempts that met a full disk, a job still has MAX_ATTEMPTS for other errors."""
    monkeypatch.setattr("shared.worker.backoff.BACKOFF_S", 0.001)
    errors = [StorageFull(), StorageFull(), StorageFull(), ModelUnavailable()]

    async def fail_until_done(_claim: Claim) -> Outcome:
        if errors:
            raise errors.pop(0)
        return Outcome({"transcript": "done"})

    job_id = await driver.submit()
    async with run_worker(queue, FakeHandler(fail_until_done), max_attempts=2):
        job = await wait_until_ended(queue, job_id)
    assert (job.status, job.attempts) == ("completed", {"stt": 5})


async def test_redis_that_refuses_writes_for_a_while_costs_no_job(driver, queue):
    """A worker repeats each call that Redis refuses, as it does without replicas, until all jobs are completed."""
    jobs = [await driver.submit() for _ in range(60)]

    async def compute_briefly(_claim: Claim) -> Outcome:
        await asyncio.sleep(0.01)
        return Outcome({"transcript": "done"})

    async with run_worker(queue, FakeHandler(compute_briefly), concurrency=4):
        for _ in range(4):
            driver.redis.config_set("min-replicas-to-write", 1)
            await asyncio.sleep(0.4)
            driver.redis.config_set("min-replicas-to-write", 0)
            await asyncio.sleep(0.05)
        for job_id in jobs:
            assert (await wait_until_ended(queue, job_id)).status == "completed"


async def test_input_error_fails_the_job_at_once(driver, queue):
    """A job with an input error fails after one attempt, with the error's code."""

    async def find_no_speech(_claim: Claim) -> Outcome:
        raise NoSpeech

    job_id = await driver.submit()
    async with run_worker(queue, FakeHandler(find_no_speech)):
        job = await wait_until_ended(queue, job_id)
    assert (job.status, job.error.code, job.attempts) == ("failed", "no_speech", {"stt": 1})


async def test_unexpected_exception_fails_the_job_but_not_the_worker(driver, queue):
    """An unexpected exception fails its job without showing its text, and the next job is completed."""

    async def raise_for_one_job(claim: Claim) -> Outcome:
        if claim.job_id == bad:
            raise KeyError("/secret/path")
        return Outcome()

    bad = await driver.submit()
    async with run_worker(queue, FakeHandler(raise_for_one_job), max_attempts=1):
        job = await wait_until_ended(queue, bad)
        assert (job.status, job.error.code) == ("failed", "engine_failed")
        assert "/secret" not in job.model_dump_json()
        assert (await wait_until_ended(queue, await driver.submit())).status == "completed"


async def test_input_that_crashes_the_engine_is_dead_lettered(driver, queue):
    """A task that crashes the engine three times is dead-lettered, however high MAX_ATTEMPTS is."""

    async def crash(_claim: Claim) -> Outcome:
        raise EngineCrashed

    job_id = await driver.submit()
    handler = FakeHandler(crash)
    async with run_worker(queue, handler, max_attempts=50):
        job = await wait_until_ended(queue, job_id)
    assert (job.status, job.error.code) == ("failed", "worker_died")
    assert len(handler.started) == 3


async def test_cancelled_job_stops_computing(driver, queue):
    """Cancelling a job cancels its handler within a heartbeat or two, and the worker takes the next job."""

    async def compute(claim: Claim) -> Outcome:
        if claim.job_id == job_id:
            await asyncio.sleep(60)
        return Outcome()

    job_id = await driver.submit()
    handler = FakeHandler(compute)
    async with run_worker(queue, handler):
        await async_wait_until(lambda: handler.started)
        await queue.cancel(job_id)
        await async_wait_until(lambda: handler.cancelled, 5)
        assert (await wait_until_ended(queue, await driver.submit())).status == "completed"
    assert (await queue.job(job_id)).status == "cancelled"


async def test_task_of_a_lost_reply_is_run(driver, queue):
    """A task that Redis lists as held, although its claim never arrived, is run by the worker that holds it."""
    handler = FakeHandler()
    async with run_worker(queue, handler) as worker:
        await asyncio.sleep(0.2)
        job_id = await driver.submit()
        moved = driver.redis.lrem(KEYS["QUEUE"] + "stt", 1, f"stt:{job_id}")
        if moved:  # otherwise the worker has already claimed it
            driver.redis.lpush(KEYS["HELD"] + worker.name, f"stt:{job_id}")
        assert (await wait_until_ended(queue, job_id)).status == "completed"


async def test_paused_worker_that_claims_its_task_again_completes_it(driver, queue):
    """A worker that claims a task reclaimed from it cancels the older attempt, completes the job and loses no slot."""

    async def compute(claim: Claim) -> Outcome:
        await asyncio.sleep(0.5 if claim.attempt == 1 else 2)
        return Outcome({"transcript": f"attempt {claim.attempt}"})

    handler = FakeHandler(compute)
    async with run_worker(queue, handler, concurrency=2) as worker:
        job_id = await driver.submit()
        await async_wait_until(lambda: handler.started)
        with driver.redis.pipeline() as step:  # a sweep's effect on a worker whose lease has expired
            step.delete(KEYS["HELD"] + worker.name)
            step.hdel(KEYS["TASKS"] + job_id, f"token:stt:{job_id}", f"worker:stt:{job_id}")
            step.rpush(KEYS["QUEUE"] + "stt", f"stt:{job_id}")
            step.execute()
        job = await wait_until_ended(queue, job_id)
        assert (job.status, job.transcript) == ("completed", "attempt 2")
        pair = [await driver.submit() for _ in range(2)]
        await async_wait_until(lambda: len(handler.started) == 4, 1.5)
        for other in pair:
            assert (await wait_until_ended(queue, other)).status == "completed"


async def test_stopping_worker_finishes_its_tasks(driver, queue):
    """A worker that stops finishes its task within the grace period and claims no other."""

    async def compute_for_half_a_second(_claim: Claim) -> Outcome:
        await asyncio.sleep(0.5)
        return Outcome()

    job_id = await driver.submit()
    handler = FakeHandler(compute_for_half_a_second)
    async with run_worker(queue, handler):
        await async_wait_until(lambda: handler.started)
        await driver.submit()
    assert (await queue.job(job_id)).status == "completed"
    assert len(handler.started) == 1
    assert await queue.workers() == []


async def test_task_is_released_after_the_grace_period(driver, queue):
    """A task that outlives the grace period is first in its list again, and no attempt is counted."""

    async def compute_forever(_claim: Claim) -> Outcome:
        await asyncio.sleep(60)
        return Outcome()

    job_id = await driver.submit()
    handler = FakeHandler(compute_forever)
    async with run_worker(queue, handler, grace_s=0.1):
        await async_wait_until(lambda: handler.started)
    assert driver.places() == {KEYS["QUEUE"] + "stt": [f"stt:{job_id}"]}
    assert (await driver.claim("stt-2")).attempt == 1


async def test_worker_survives_a_killed_redis(own_redis):
    """A task during which Redis is killed and restarted is committed once, and the worker takes the next job."""
    queue = Queue.connect(own_redis.url)
    may_end = asyncio.Event()

    async def compute_until_allowed(_claim: Claim) -> Outcome:
        await may_end.wait()
        return Outcome({"transcript": "kept"})

    handler = FakeHandler(compute_until_allowed)
    await queue.submit("a" * 32, {"route": "stt"}, [("stt:" + "a" * 32, "")], max_live=9)
    async with run_worker(queue, handler):
        await async_wait_until(lambda: handler.started)
        own_redis.kill()
        may_end.set()
        await asyncio.sleep(1.5)
        own_redis.start()
        job = await wait_until_ended(queue, "a" * 32)
        assert (job.status, job.transcript, job.attempts) == ("completed", "kept", {"stt": 1})
        await queue.submit("b" * 32, {"route": "stt"}, [("stt:" + "b" * 32, "")], max_live=9)
        assert (await wait_until_ended(queue, "b" * 32)).status == "completed"
    assert [event["event"] for event in await queue.events("a" * 32)].count("completed") == 1
    assert len(handler.started) == 2
    await queue.close()


async def test_running_worker_is_listed(driver, queue, tmp_path):
    """A worker is listed with its engine and touches its health file for as long as it runs."""
    health = tmp_path / "alive"
    async with run_worker(queue, FakeHandler(), health_file=health):
        await async_wait_until(queue.workers)
        [info] = await queue.workers()
        assert (info.stage, info.engine, info.model) == ("stt", "fake", "fake")
        await async_wait_until(lambda: health.exists())
    assert await queue.workers() == []
