"""Keys that another program has overwritten: no worker dies of them, and their jobs end."""

import asyncio
from contextlib import asynccontextmanager
from uuid import uuid4

import pytest

from fakes.handlers import FakeHandler, FakeWriter, synthesize
from shared.errors import ModelUnavailable, QueueUnreadable
from shared.queue.admin import QueueAdmin
from shared.queue.keys import KEYS
from shared.queue.messages import Claim, Outcome
from shared.worker.handler import RecordStep
from shared.worker.worker import Worker
from support.running_worker import wait_until_ended
from support.wait import async_wait_until

pytestmark = pytest.mark.redis

JUNK = b"\xff\xfe{junk}\x00"

#: Damage that an operator may do to a job's keys: by hand, with a script, or by restoring half a backup.
DAMAGES = {
    "job is a string": lambda redis, job: (redis.delete(KEYS["JOB"] + job), redis.set(KEYS["JOB"] + job, JUNK)),
    "tasks are a list": lambda redis, job: (redis.delete(KEYS["TASKS"] + job), redis.rpush(KEYS["TASKS"] + job, 1)),
    "events are a string": lambda redis, job: redis.set(KEYS["EVENTS"] + job, JUNK),
    "attempts are no number": lambda redis, job: redis.hset(KEYS["JOB"] + job, "attempts:stt", JUNK),
    "crashes are no number": lambda redis, job: redis.hset(KEYS["TASKS"] + job, f"crashes:stt:{job}", JUNK),
    "route is missing": lambda redis, job: redis.hdel(KEYS["JOB"] + job, "route"),
    "status is unknown": lambda redis, job: redis.hset(KEYS["JOB"] + job, "status", JUNK),
    "every field is junk": lambda redis, job: redis.hset(
        KEYS["JOB"] + job, mapping=dict.fromkeys(redis.hkeys(KEYS["JOB"] + job), JUNK)
    ),
    "job is deleted": lambda redis, job: redis.delete(KEYS["JOB"] + job),
}


@asynccontextmanager
async def surviving_worker(queue):
    """Run a worker until the end of the block, and assert that it still runs there."""
    worker = Worker(queue, FakeHandler(), max_attempts=2, grace_s=5.0)
    running = asyncio.create_task(worker.run())
    yield worker
    assert not running.done()
    worker.stop()
    await asyncio.wait_for(running, 20)


async def until_idle(driver):
    """Wait until no task is in a place but the dead list."""
    await async_wait_until(lambda: all(name.startswith(KEYS["DEAD"]) for name in driver.places()), timeout_s=20)


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("moment", ["waiting", "claimed"])
async def test_damaged_job_stops_no_worker(driver, queue, redis, damage, moment):
    """A worker goes on to the next job after a damaged one, which no worker holds any more."""
    claimed, go_on = asyncio.Event(), asyncio.Event()

    async def handle(_claim):
        claimed.set()
        await go_on.wait()
        return Outcome({"transcript": "done"})

    damaged = await driver.submit()
    if moment == "waiting":
        DAMAGES[damage](redis, damaged)
        go_on.set()
    worker = Worker(queue, FakeHandler(handle), max_attempts=2, grace_s=5.0)
    running = asyncio.create_task(worker.run())
    try:
        if moment == "claimed":
            await asyncio.wait_for(claimed.wait(), 10)
            DAMAGES[damage](redis, damaged)
            go_on.set()
        fine = await driver.submit()
        await until_idle(driver)
        assert (await wait_until_ended(queue, fine)).status == "completed"
        assert not running.done()
        await queue.audit(older_than_s=0)
        assert redis.zcard(KEYS["LIVE"]) == 0
    finally:
        worker.stop()
        await asyncio.wait_for(running, 20)
    assert redis.keys(KEYS["HELD"] + "*") == []


@pytest.mark.parametrize("field", ["first_part", "next_part", "parts_done", "steps:llm:{job}", "join", "input:junk"])
@pytest.mark.parametrize(("value", "fails"), [(JUNK, False), (b"1e300", True), (b"-5", True)])
async def test_damaged_part_numbers_stop_no_worker(driver, queue, redis, field, value, fails, monkeypatch):
    """Damaged numbers of an answer's parts, however large, neither block Redis nor stop a worker, and the job ends."""
    monkeypatch.setattr("shared.worker.backoff.BACKOFF_S", 0.001)
    monkeypatch.setattr("shared.worker.worker.SWEEP_S", 0.1)
    monkeypatch.setattr("shared.queue.queue.BLOCK_S", 0.05)
    damage = {field: value}

    async def write(claim: Claim, record_step: RecordStep) -> Outcome:
        await record_step(Outcome(parts=("tts", ["a", "b"])))
        if damage:
            redis.hset(KEYS["TASKS"] + claim.job_id, field.format(job=claim.job_id), damage.pop(field))
        await record_step(Outcome(parts=("tts", ["c"])))
        if claim.attempt == 1 and fails:
            raise ModelUnavailable
        return Outcome(parts=("tts", ["d"]))

    job_id = uuid4().hex
    await queue.submit(job_id, {"route": "llm,tts"}, [(f"llm:{job_id}", "")], max_live=9)
    workers = [
        Worker(queue, handler, max_attempts=2, grace_s=5.0)
        for handler in (FakeWriter(write), FakeHandler(synthesize, "tts"), FakeHandler())
    ]
    running = [asyncio.create_task(worker.run()) for worker in workers]
    try:
        async with asyncio.timeout(30):
            while not (await queue.job(job_id)).has_ended:
                await asyncio.sleep(0.05)
                await until_idle(driver)
                await queue.audit(older_than_s=0)
        fine = await driver.submit(route="stt")
        assert (await wait_until_ended(queue, fine)).status == "completed"
        assert not any(task.done() for task in running)
    finally:
        for worker in workers:
            worker.stop()
        await asyncio.wait_for(asyncio.gather(*running), 20)


@pytest.mark.parametrize("damage", ["job is a string", "attempts are no number"])
async def test_damaged_job_fails_with_a_code_and_is_dead_lettered(driver, queue, redis, damage):
    """A damaged job fails with the code `job_corrupted`, and its task is on the dead list."""
    job_id = await driver.submit()
    DAMAGES[damage](redis, job_id)
    async with surviving_worker(queue):
        await until_idle(driver)
        await async_wait_until(lambda: redis.llen(KEYS["DEAD"]), timeout_s=10)
    job = await queue.job(job_id)
    assert (job.status, job.error.code) == ("failed", "job_corrupted")
    assert [letter.job_id for letter in await QueueAdmin(queue).dead_letters()] == [job_id]


async def test_part_number_beyond_exact_integers_does_not_block_redis(driver, queue, redis):
    """An answer whose first part has a number so large that adding 1 does not change it is joined without a loop over
    its numbers."""
    job_id, claim = await driver.reach_llm()
    await queue.commit_partial("llm-1", claim, Outcome(parts=("tts", ["a"])))
    redis.hset(KEYS["TASKS"] + job_id, "next_part", "1e300")
    await queue.reschedule("llm-1", claim, 0, "model_unavailable", crashed=False)
    await queue.promote()
    second = await driver.claim("llm-1", "llm")
    assert await queue.commit("llm-1", second, Outcome(parts=("tts", []))) == "committed"
    assert (await driver.claim("tts-1", "tts")).input == "[]"


async def test_worker_outlives_a_queue_key_of_another_type(driver, queue, redis):
    """A worker whose stage's list is a string waits until an operator removes it, and then does the next job."""
    async with surviving_worker(queue):
        redis.delete(KEYS["QUEUE"] + "stt")
        redis.set(KEYS["QUEUE"] + "stt", JUNK)
        redis.set(KEYS["DELAYED"], JUNK)
        await asyncio.sleep(1.5)
        redis.delete(KEYS["QUEUE"] + "stt", KEYS["DELAYED"])
        job_id = await driver.submit()
        assert (await wait_until_ended(queue, job_id)).status == "completed"


async def test_queue_key_of_another_type_fails_no_running_job(driver, queue, redis):
    """A job that a worker runs while its stage's list is a string completes."""
    go_on = asyncio.Event()

    async def handle(_claim):
        await go_on.wait()
        return Outcome({"transcript": "done"})

    job_id = await driver.submit()
    worker = Worker(queue, FakeHandler(handle), concurrency=2, max_attempts=2, grace_s=5.0)
    running = asyncio.create_task(worker.run())
    await async_wait_until(lambda: redis.hget(KEYS["JOB"] + job_id, "status") == "processing")
    redis.set(KEYS["QUEUE"] + "stt", JUNK)
    await asyncio.sleep(1.5)
    redis.delete(KEYS["QUEUE"] + "stt")
    go_on.set()
    worker.stop()
    await asyncio.wait_for(running, 20)
    assert (await queue.job(job_id)).status == "completed"


async def test_damaged_marker_of_first_parts_is_ignored(driver, queue, redis):
    """First parts go to the front of the list where the key with the last of them is no string."""
    redis.rpush(KEYS["AHEAD"] + "tts", JUNK)
    job_id = await driver.reach_tts(2)
    assert (await driver.claim("tts-1", "tts")).task == f"tts:{job_id}:0"


@pytest.mark.parametrize("key", ["DONE", "WORKERS", "COUNTS"])
async def test_damaged_key_that_jobs_share_fails_no_job(driver, queue, redis, key):
    """Tasks are claimed and committed where the key of counters or heartbeats is a string."""
    job_id = await driver.submit()
    await driver.enlist("stt-1")
    redis.delete(KEYS[key])
    redis.set(KEYS[key], JUNK)
    claim = await queue.claim("stt-1", "stt", "t")
    assert await queue.commit("stt-1", claim, Outcome({"transcript": "done"}, counts={"a": 1})) == "committed"
    assert (await queue.job(job_id)).status == "completed"


async def test_commit_that_cannot_be_encoded_changes_nothing(driver, queue):
    """A commit with half a surrogate pair raises QueueUnreadable, and the task stays held and can be dead-lettered."""
    await driver.submit()
    claim = await driver.claim("stt-1")
    with pytest.raises(QueueUnreadable):
        await queue.commit("stt-1", claim, Outcome({"transcript": "\ud83d"}))
    assert driver.placed_tasks() == [claim.task]
    assert await queue.dead_letter("stt-1", claim, "engine_failed", "It broke.") == "dead_lettered"


async def test_quarantined_job_cannot_be_retried(driver, queue, redis):
    """A retry of a job that could not be read is refused: its hash is gone, and with it what a retry needs."""
    job_id = await driver.submit()
    claim = await driver.claim("stt-1")
    assert await queue.quarantine("stt-1", claim.task)
    assert await QueueAdmin(queue).retry_job(job_id, max_live=1000) == "retry_input_erased"


async def test_job_of_another_type_raises_queue_unreadable(driver, queue, redis):
    """A job hash that is a string raises QueueUnreadable, distinct from a Redis that cannot be reached."""
    job_id = await driver.submit()
    redis.delete(KEYS["JOB"] + job_id)
    redis.set(KEYS["JOB"] + job_id, JUNK)
    with pytest.raises(QueueUnreadable):
        await queue.job(job_id)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("created_at", "yesterday"),
        ("created_at", "9" * 30),
        ("status", "asleep"),
        ("attempts:stt", "many"),
        ("duration_s", "x"),
    ],
)
async def test_invalid_field_raises_queue_unreadable(driver, queue, redis, field, value):
    """A job field with a value of another type raises QueueUnreadable."""
    job_id = await driver.submit()
    redis.hset(KEYS["JOB"] + job_id, field, value)
    with pytest.raises(QueueUnreadable):
        await queue.job(job_id)


@pytest.mark.parametrize("damage", ["job is a string", "tasks are a list", "every field is junk"])
async def test_damaged_job_can_be_erased(driver, queue, redis, damage):
    """Erasing a damaged job removes all its keys; otherwise it would stop the cleanup of every job that ended later."""
    job_id = await driver.submit()
    claim = await driver.claim("stt-1")
    await queue.dead_letter("stt-1", claim, "no_speech", "No speech.")
    DAMAGES[damage](redis, job_id)
    assert await queue.erase(job_id)
    assert [key for key in redis.keys("*") if job_id in key] == []
    assert redis.zcard(KEYS["ENDED"]) == 0


async def test_only_the_holder_of_a_task_can_quarantine_it(driver, queue):
    """A quarantine by another worker, or a repeated one, changes nothing."""
    await driver.submit()
    claim = await driver.claim("stt-1")
    assert not await queue.quarantine("stt-2", claim.task)
    assert await queue.quarantine("stt-1", claim.task)
    assert not await queue.quarantine("stt-1", claim.task)
    assert driver.placed_tasks() == [claim.task]


async def test_audit_continues_past_a_damaged_job(driver, queue, redis):
    """The audit fails a damaged job and restores the lost task of another one."""
    damaged, lost = await driver.submit(), await driver.submit()
    redis.delete(KEYS["TASKS"] + damaged, KEYS["QUEUE"] + "stt")
    redis.set(KEYS["TASKS"] + damaged, JUNK)
    assert await queue.audit(older_than_s=0) == [f"stt:{lost}"]
    assert (await queue.job(damaged)).error.code == "job_corrupted"
