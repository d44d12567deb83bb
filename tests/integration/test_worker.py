"""The worker's runtime: what it does when tasks fail, jobs are cancelled, Redis goes away, or it is told to stop."""

import asyncio

import pytest

from fakes.handlers import FakeHandler
from shared.errors import EngineCrashed, ModelUnavailable, NoSpeech, StorageFull
from shared.queue.keys import KEYS
from shared.queue.messages import Claim, Outcome
from shared.queue.queue import Queue
from support.running_worker import ended, running, until

pytestmark = pytest.mark.redis


async def test_it_works_off_what_waits_and_what_comes(driver, queue):
    """Jobs that waited before it started, and jobs that come later, are all done."""
    jobs = [await driver.submit() for _ in range(20)]
    async with running(queue, FakeHandler()):
        jobs.append(await driver.submit())
        for job_id in jobs:
            assert (await ended(queue, job_id)).status == "completed"
    assert driver.places() == {}


async def test_it_runs_as_many_tasks_at_once_as_it_may(driver, queue):
    """Concurrency is used, and not exceeded."""
    running_now, most = 0, 0

    async def count(_claim: Claim) -> Outcome:
        nonlocal running_now, most
        running_now += 1
        most = max(most, running_now)
        await asyncio.sleep(0.05)
        running_now -= 1
        return Outcome()

    jobs = [await driver.submit() for _ in range(12)]
    async with running(queue, FakeHandler(count), concurrency=4):
        for job_id in jobs:
            await ended(queue, job_id)
    assert most == 4


async def test_an_error_that_may_pass_is_tried_again(driver, queue):
    """The task comes back after a delay and succeeds; the attempts are counted."""

    async def fail_once(claim: Claim) -> Outcome:
        if claim.attempt == 1:
            raise ModelUnavailable
        return Outcome({"transcript": "at last"})

    job_id = await driver.submit()
    async with running(queue, FakeHandler(fail_once)):
        job = await ended(queue, job_id)
    assert (job.status, job.transcript, job.attempts) == ("completed", "at last", {"stt": 2})


async def test_no_retry_comes_sooner_than_the_upstream_asked(driver, queue):
    """A Retry-After is honoured."""

    async def fail(_claim: Claim) -> Outcome:
        raise ModelUnavailable(retry_after_s=120)

    await driver.submit()
    async with running(queue, FakeHandler(fail)):
        await until(lambda: asyncio.to_thread(driver.redis.zcard, KEYS["DELAYED"]))
    [(_, due_ms)] = driver.redis.zrange(KEYS["DELAYED"], 0, -1, withscores=True)
    seconds, _ = driver.redis.time()
    assert 100 < due_ms / 1000 - seconds <= 121


async def test_a_full_disk_is_waited_out_for_longer_than_other_errors(driver, queue, monkeypatch):
    """No job is to blame for it, and all are met by it: a job may meet it four times as often before it fails."""
    monkeypatch.setattr("shared.worker.backoff.BACKOFF_S", 0.001)

    async def find_no_room(_claim: Claim) -> Outcome:
        raise StorageFull

    job_id = await driver.submit()
    async with running(queue, FakeHandler(find_no_room), max_attempts=2):
        job = await ended(queue, job_id)
    assert (job.status, job.error.code, job.attempts) == ("failed", "storage_full", {"stt": 8})


async def test_what_a_full_disk_has_cost_does_not_count_against_the_job(driver, queue, monkeypatch):
    """When there is room again, other errors may pass as often as ever."""
    monkeypatch.setattr("shared.worker.backoff.BACKOFF_S", 0.001)
    errors = [StorageFull(), StorageFull(), StorageFull(), ModelUnavailable()]

    async def stumble(_claim: Claim) -> Outcome:
        if errors:
            raise errors.pop(0)
        return Outcome({"transcript": "done"})

    job_id = await driver.submit()
    async with running(queue, FakeHandler(stumble), max_attempts=2):
        job = await ended(queue, job_id)
    assert (job.status, job.attempts) == ("completed", {"stt": 5})


async def test_a_redis_that_refuses_for_a_while_costs_no_job(driver, queue):
    """Replicas that are away, or a script that takes too long, are waited out, whatever the worker was about to do."""
    jobs = [await driver.submit() for _ in range(60)]

    async def take_a_moment(_claim: Claim) -> Outcome:
        await asyncio.sleep(0.01)
        return Outcome({"transcript": "done"})

    async with running(queue, FakeHandler(take_a_moment), concurrency=4):
        for _ in range(4):
            driver.redis.config_set("min-replicas-to-write", 1)
            await asyncio.sleep(0.4)
            driver.redis.config_set("min-replicas-to-write", 0)
            await asyncio.sleep(0.05)
        for job_id in jobs:
            assert (await ended(queue, job_id)).status == "completed"


async def test_an_error_of_the_input_fails_the_job_at_once(driver, queue):
    """No second attempt is spent on what cannot succeed, and the caller is told the code."""

    async def hear_nothing(_claim: Claim) -> Outcome:
        raise NoSpeech

    job_id = await driver.submit()
    async with running(queue, FakeHandler(hear_nothing)):
        job = await ended(queue, job_id)
    assert (job.status, job.error.code, job.attempts) == ("failed", "no_speech", {"stt": 1})


async def test_a_bug_fails_its_job_and_not_the_worker(driver, queue):
    """An exception that nobody thought of ends in the job's error, without its text, and the next job is served."""

    async def stumble(claim: Claim) -> Outcome:
        if claim.job_id == bad:
            raise KeyError("/secret/path")
        return Outcome()

    bad = await driver.submit()
    async with running(queue, FakeHandler(stumble), max_attempts=1):
        job = await ended(queue, bad)
        assert (job.status, job.error.code) == ("failed", "engine_failed")
        assert "/secret" not in job.model_dump_json()
        assert (await ended(queue, await driver.submit())).status == "completed"


async def test_input_that_crashes_the_engine_is_set_aside(driver, queue):
    """Three crashes, then the dead list; the worker itself lives on."""

    async def crash(_claim: Claim) -> Outcome:
        raise EngineCrashed

    job_id = await driver.submit()
    handler = FakeHandler(crash)
    async with running(queue, handler, max_attempts=50):
        job = await ended(queue, job_id)
    assert (job.status, job.error.code) == ("failed", "worker_died")
    assert len(handler.begun) == 3


async def test_a_cancelled_job_stops_computing(driver, queue):
    """DELETE frees the worker within a heartbeat or two."""

    async def compute(claim: Claim) -> Outcome:
        if claim.job_id == job_id:
            await asyncio.sleep(60)
        return Outcome()

    job_id = await driver.submit()
    handler = FakeHandler(compute)
    async with running(queue, handler):
        await until(lambda: _truth(handler.begun))
        await queue.cancel(job_id)
        await until(lambda: _truth(handler.cancelled), within_s=5)
        assert (await ended(queue, await driver.submit())).status == "completed"
    assert (await queue.job(job_id)).status == "cancelled"


async def test_a_task_that_came_in_a_lost_reply_is_taken_up(driver, queue):
    """What Redis says it holds, it runs."""
    handler = FakeHandler()
    async with running(queue, handler) as worker:
        await asyncio.sleep(0.2)
        job_id = await driver.submit()
        moved = driver.redis.lrem(KEYS["QUEUE"] + "stt", 1, f"stt:{job_id}")
        if moved:  # else the worker was quicker, which is just as well
            driver.redis.lpush(KEYS["HELD"] + worker.name, f"stt:{job_id}")
        assert (await ended(queue, job_id)).status == "completed"


async def test_a_paused_worker_that_gets_its_task_again_goes_on(driver, queue):
    """Its older attempt is given up, no slot is lost, and the job completes."""

    async def compute(claim: Claim) -> Outcome:
        await asyncio.sleep(0.5 if claim.attempt == 1 else 2)
        return Outcome({"transcript": f"attempt {claim.attempt}"})

    handler = FakeHandler(compute)
    async with running(queue, handler, concurrency=2) as worker:
        job_id = await driver.submit()
        await until(lambda: _truth(handler.begun))
        with driver.redis.pipeline() as step:  # what a sweep does to a worker whose lease has run out
            step.delete(KEYS["HELD"] + worker.name)
            step.hdel(KEYS["TASKS"] + job_id, f"token:stt:{job_id}", f"worker:stt:{job_id}")
            step.rpush(KEYS["QUEUE"] + "stt", f"stt:{job_id}")
            step.execute()
        job = await ended(queue, job_id)
        assert (job.status, job.transcript) == ("completed", "attempt 2")
        pair = [await driver.submit() for _ in range(2)]
        await until(lambda: _truth(len(handler.begun) == 4), within_s=1.5)
        for other in pair:
            assert (await ended(queue, other)).status == "completed"


async def test_told_to_stop_it_finishes_what_it_holds(driver, queue):
    """Within the grace period nothing is interrupted, and nothing more is claimed."""

    async def take_a_while(_claim: Claim) -> Outcome:
        await asyncio.sleep(0.5)
        return Outcome()

    job_id = await driver.submit()
    handler = FakeHandler(take_a_while)
    async with running(queue, handler):
        await until(lambda: _truth(handler.begun))
        await driver.submit()
    assert (await queue.job(job_id)).status == "completed"
    assert len(handler.begun) == 1
    assert await queue.workers() == []


async def test_after_the_grace_period_it_hands_back(driver, queue):
    """What it cannot finish is next in turn for another worker, and has cost no attempt."""

    async def take_for_ever(_claim: Claim) -> Outcome:
        await asyncio.sleep(60)
        return Outcome()

    job_id = await driver.submit()
    handler = FakeHandler(take_for_ever)
    async with running(queue, handler, grace_s=0.1):
        await until(lambda: _truth(handler.begun))
    assert driver.places() == {KEYS["QUEUE"] + "stt": [f"stt:{job_id}"]}
    assert (await driver.claim("stt-2")).attempt == 1


async def test_it_survives_redis_being_killed(own_redis):
    """Redis dies in the middle of a task and comes back: the task is committed once, and work goes on."""
    queue = Queue.connect(own_redis.url)
    release = asyncio.Event()

    async def wait(_claim: Claim) -> Outcome:
        await release.wait()
        return Outcome({"transcript": "kept"})

    handler = FakeHandler(wait)
    await queue.submit("a" * 32, {"route": "stt"}, [("stt:" + "a" * 32, "")], max_live=9)
    async with running(queue, handler):
        await until(lambda: _truth(handler.begun))
        own_redis.kill()
        release.set()
        await asyncio.sleep(1.5)
        own_redis.start()
        job = await ended(queue, "a" * 32)
        assert (job.status, job.transcript, job.attempts) == ("completed", "kept", {"stt": 1})
        await queue.submit("b" * 32, {"route": "stt"}, [("stt:" + "b" * 32, "")], max_live=9)
        assert (await ended(queue, "b" * 32)).status == "completed"
    assert [event["event"] for event in await queue.events("a" * 32)].count("completed") == 1
    assert len(handler.begun) == 2
    await queue.close()


async def test_a_warm_worker_says_so(driver, queue, tmp_path):
    """It is listed with its engine, and touches its health file, for as long as it runs."""
    health = tmp_path / "alive"
    async with running(queue, FakeHandler(), health_file=health):
        await until(queue.workers)
        [info] = await queue.workers()
        assert (info.stage, info.engine, info.model) == ("stt", "fake", "fake")
        await until(lambda: _truth(health.exists()))
    assert await queue.workers() == []


async def _truth(value: object) -> object:
    return value
