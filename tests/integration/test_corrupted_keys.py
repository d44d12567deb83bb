"""Somebody has written into the queue's keys: no worker dies of it, and whoever waits for the job hears of its end."""

import asyncio
from uuid import uuid4

import pytest

from fakes.handlers import FakeHandler, FakeWriter, speak
from shared.errors import ModelUnavailable, QueueUnreadable
from shared.queue.admin import QueueAdmin
from shared.queue.keys import KEYS
from shared.queue.messages import Claim, Outcome
from shared.worker.steps import Extend
from shared.worker.worker import Worker

pytestmark = pytest.mark.redis

JUNK = b"\xff\xfe{junk}\x00"

#: What an operator may have done to a job: by hand, with a script, or by restoring half a backup.
MISTAKES = {
    "the job is a string": lambda redis, job: (redis.delete(KEYS["JOB"] + job), redis.set(KEYS["JOB"] + job, JUNK)),
    "the tasks are a list": lambda redis, job: (redis.delete(KEYS["TASKS"] + job), redis.rpush(KEYS["TASKS"] + job, 1)),
    "the events are a string": lambda redis, job: redis.set(KEYS["EVENTS"] + job, JUNK),
    "the attempts are no number": lambda redis, job: redis.hset(KEYS["JOB"] + job, "attempts:stt", JUNK),
    "the crashes are no number": lambda redis, job: redis.hset(KEYS["TASKS"] + job, f"crashes:stt:{job}", JUNK),
    "the route is missing": lambda redis, job: redis.hdel(KEYS["JOB"] + job, "route"),
    "the status is none of ours": lambda redis, job: redis.hset(KEYS["JOB"] + job, "status", JUNK),
    "every field is junk": lambda redis, job: redis.hset(
        KEYS["JOB"] + job, mapping=dict.fromkeys(redis.hkeys(KEYS["JOB"] + job), JUNK)
    ),
    "the job is gone": lambda redis, job: redis.delete(KEYS["JOB"] + job),
}


@pytest.fixture
async def worker(queue):
    """At work, and alive at the end."""
    worker = Worker(queue, FakeHandler(), max_attempts=2, grace_s=5.0)
    running = asyncio.create_task(worker.run())
    yield worker
    assert not running.done()
    worker.stop()
    await asyncio.wait_for(running, 20)


async def until_idle(driver):
    async with asyncio.timeout(20):
        while any(not name.startswith(KEYS["DEAD"]) for name in driver.places()):  # noqa: ASYNC110
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("mistake", MISTAKES)
@pytest.mark.parametrize("moment", ["waiting", "in work"])
async def test_a_damaged_job_stops_nobody(driver, queue, redis, mistake, moment):
    """The worker lives on and does the next job, and the damaged one is left in nobody's hands."""
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def handle(_claim):
        begun.set()
        await go_on.wait()
        return Outcome({"transcript": "done"})

    damaged = await driver.submit()
    if moment == "waiting":
        MISTAKES[mistake](redis, damaged)
        go_on.set()
    worker = Worker(queue, FakeHandler(handle), max_attempts=2, grace_s=5.0)
    running = asyncio.create_task(worker.run())
    try:
        if moment == "in work":
            await asyncio.wait_for(begun.wait(), 10)
            MISTAKES[mistake](redis, damaged)
            go_on.set()
        fine = await driver.submit()
        await until_idle(driver)
        async with asyncio.timeout(20):
            while (await queue.job(fine)).status != "completed":  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        assert not running.done()
        await queue.audit(older_than_s=0)
        assert redis.zcard(KEYS["LIVE"]) == 0
    finally:
        worker.stop()
        await asyncio.wait_for(running, 20)
    assert redis.keys(KEYS["HELD"] + "*") == []


@pytest.mark.parametrize("field", ["first_part", "next_part", "parts_done", "steps:llm:{job}", "join", "input:junk"])
@pytest.mark.parametrize(("value", "fails"), [(JUNK, False), (b"1e300", True), (b"-5", True)])
async def test_damaged_numbers_of_an_answer_stop_nobody(driver, queue, redis, field, value, fails, monkeypatch):
    """However large: Redis does not count up to them, workers live on, and the job comes to some end."""
    monkeypatch.setattr("shared.worker.backoff.BACKOFF_S", 0.001)
    monkeypatch.setattr("shared.worker.worker.SWEEP_S", 0.1)
    monkeypatch.setattr("shared.queue.queue.BLOCK_S", 0.05)
    damage = {field: value}

    async def write(claim: Claim, extend: Extend) -> Outcome:
        await extend(Outcome(parts=("tts", ["a", "b"])))
        if damage:
            redis.hset(KEYS["TASKS"] + claim.job_id, field.format(job=claim.job_id), damage.pop(field))
        await extend(Outcome(parts=("tts", ["c"])))
        if claim.attempt == 1 and fails:
            raise ModelUnavailable
        return Outcome(parts=("tts", ["d"]))

    job_id = uuid4().hex
    await queue.submit(job_id, {"route": "llm,tts"}, [(f"llm:{job_id}", "")], max_live=9)
    workers = [
        Worker(queue, handler, max_attempts=2, grace_s=5.0)
        for handler in (FakeWriter(write), FakeHandler(speak, "tts"), FakeHandler())
    ]
    running = [asyncio.create_task(worker.run()) for worker in workers]
    try:
        async with asyncio.timeout(30):
            while not (await queue.job(job_id)).has_ended:
                await asyncio.sleep(0.05)
                await until_idle(driver)
                await queue.audit(older_than_s=0)
        fine = await driver.submit(route="stt")
        async with asyncio.timeout(20):
            while (await queue.job(fine)).status != "completed":  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        assert not any(task.done() for task in running)
    finally:
        for worker in workers:
            worker.stop()
        await asyncio.wait_for(asyncio.gather(*running), 20)


@pytest.mark.parametrize("mistake", ["the job is a string", "the attempts are no number"])
async def test_whoever_waits_for_a_damaged_job_hears_of_its_end(driver, queue, redis, mistake, worker):
    """It has failed, for a reason with a name, and lies on the dead list."""
    job_id = await driver.submit()
    MISTAKES[mistake](redis, job_id)
    await until_idle(driver)
    async with asyncio.timeout(10):
        while not redis.llen(KEYS["DEAD"]):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    job = await queue.job(job_id)
    assert (job.status, job.error.code) == ("failed", "job_corrupted")
    assert [letter.job_id for letter in await QueueAdmin(queue).dead_letters()] == [job_id]


async def test_a_number_past_counting_does_not_keep_redis_busy(driver, queue, redis):
    """To which one can be added, and it is the same: an answer that begins there and has no parts is joined."""
    job_id, claim = await driver.reach_llm()
    await queue.commit_partial("llm-1", claim, Outcome(parts=("tts", ["a"])))
    redis.hset(KEYS["TASKS"] + job_id, "next_part", "1e300")
    await queue.reschedule("llm-1", claim, 0, "model_unavailable", crashed=False)
    await queue.promote()
    again = await driver.claim("llm-1", "llm")
    assert await queue.commit("llm-1", again, Outcome(parts=("tts", []))) == "committed"
    assert (await driver.claim("tts-1", "tts")).input == "[]"


async def test_a_worker_outlives_a_list_that_is_none(driver, queue, redis, worker):
    """It waits until somebody has put that right, and then goes on."""
    redis.delete(KEYS["QUEUE"] + "stt")
    redis.set(KEYS["QUEUE"] + "stt", JUNK)
    redis.set(KEYS["DELAYED"], JUNK)
    await asyncio.sleep(1.5)
    redis.delete(KEYS["QUEUE"] + "stt", KEYS["DELAYED"])
    job_id = await driver.submit()
    await until_idle(driver)
    async with asyncio.timeout(10):
        while (await queue.job(job_id)).status != "completed":  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def test_a_list_that_is_none_harms_no_job_in_work(driver, queue, redis):
    """What a worker has in its hands is not to blame for it."""
    go_on = asyncio.Event()

    async def handle(_claim):
        await go_on.wait()
        return Outcome({"transcript": "done"})

    job_id = await driver.submit()
    worker = Worker(queue, FakeHandler(handle), concurrency=2, max_attempts=2, grace_s=5.0)
    running = asyncio.create_task(worker.run())
    async with asyncio.timeout(10):
        while (await queue.job(job_id)).status != "processing":  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    redis.set(KEYS["QUEUE"] + "stt", JUNK)
    await asyncio.sleep(1.5)
    redis.delete(KEYS["QUEUE"] + "stt")
    go_on.set()
    worker.stop()
    await asyncio.wait_for(running, 20)
    assert (await queue.job(job_id)).status == "completed"


async def test_where_the_first_parts_stand_may_be_anything(driver, queue, redis):
    """They go before all others then."""
    redis.rpush(KEYS["AHEAD"] + "tts", JUNK)
    job_id = await driver.reach_tts(2)
    assert (await driver.claim("tts-1", "tts")).task == f"tts:{job_id}:0"


@pytest.mark.parametrize("key", ["DONE", "WORKERS", "COUNTS"])
async def test_what_is_no_job_s_own_harms_none(driver, queue, redis, key):
    """Where counts and heartbeats are kept there may be anything: tasks are begun and committed."""
    job_id = await driver.submit()
    await driver.enlist("stt-1")
    redis.delete(KEYS[key])
    redis.set(KEYS[key], JUNK)
    claim = await queue.claim("stt-1", "stt", "t")
    assert await queue.commit("stt-1", claim, Outcome({"transcript": "done"}, counts={"a": 1})) == "committed"
    assert (await queue.job(job_id)).status == "completed"


async def test_what_cannot_be_stored_changes_nothing(driver, queue):
    """Half a character is no text that Redis can be told; the task stays in its worker's hands, to be set aside."""
    await driver.submit()
    claim = await driver.claim("stt-1")
    with pytest.raises(QueueUnreadable):
        await queue.commit("stt-1", claim, Outcome({"transcript": "\ud83d"}))
    assert driver.everywhere() == [claim.task]
    assert await queue.dead_letter("stt-1", claim, "engine_failed", "It broke.") == "buried"


async def test_a_job_that_could_not_be_read_is_not_tried_again(driver, queue, redis):
    """What it would need has gone with its hash."""
    job_id = await driver.submit()
    claim = await driver.claim("stt-1")
    assert await queue.quarantine("stt-1", claim.task)
    assert await QueueAdmin(queue).retry_job(job_id, max_live=1000) == "retry_input_erased"


async def test_a_job_that_cannot_be_read_is_an_error_of_ours(driver, queue, redis):
    """Not a library's: whoever asks can tell it from a Redis that is away."""
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
async def test_a_field_that_makes_no_sense_is_an_error_of_ours(driver, queue, redis, field, value):
    """Whatever it holds, it is told by the same word."""
    job_id = await driver.submit()
    redis.hset(KEYS["JOB"] + job_id, field, value)
    with pytest.raises(QueueUnreadable):
        await queue.job(job_id)


@pytest.mark.parametrize("mistake", ["the job is a string", "the tasks are a list", "every field is junk"])
async def test_a_damaged_job_is_forgotten_like_any(driver, queue, redis, mistake):
    """It would otherwise keep all that ended after it from being forgotten."""
    job_id = await driver.submit()
    claim = await driver.claim("stt-1")
    await queue.dead_letter("stt-1", claim, "no_speech", "Nobody speaks.")
    MISTAKES[mistake](redis, job_id)
    assert await queue.erase(job_id)
    assert [key for key in redis.keys("*") if job_id in key] == []
    assert redis.zcard(KEYS["ENDED"]) == 0


async def test_only_who_holds_a_task_can_set_it_aside(driver, queue):
    """A repeated or late call changes nothing."""
    await driver.submit()
    claim = await driver.claim("stt-1")
    assert not await queue.quarantine("stt-2", claim.task)
    assert await queue.quarantine("stt-1", claim.task)
    assert not await queue.quarantine("stt-1", claim.task)
    assert driver.everywhere() == [claim.task]


async def test_one_damaged_job_does_not_keep_the_audit_from_the_others(driver, queue, redis):
    """It fails, and what others have lost is put back."""
    damaged, lost = await driver.submit(), await driver.submit()
    redis.delete(KEYS["TASKS"] + damaged, KEYS["QUEUE"] + "stt")
    redis.set(KEYS["TASKS"] + damaged, JUNK)
    assert await queue.audit(older_than_s=0) == [f"stt:{lost}"]
    assert (await queue.job(damaged)).error.code == "job_corrupted"
