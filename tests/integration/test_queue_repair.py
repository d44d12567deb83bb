"""Recovery from lost scripts, lost tasks, stray list entries and rolled-back writes."""

import asyncio

import pytest
from redis import Redis

from shared.errors import QueueUnavailable
from shared.queue.keys import KEYS
from shared.queue.messages import Claim, Outcome, WorkerInfo

pytestmark = pytest.mark.redis


async def test_scripts_are_loaded_again_when_redis_forgets_them(driver, queue):
    """Claims and commits succeed after Redis has forgotten the scripts, as after SCRIPT FLUSH or a restart."""
    job_id = await driver.submit()
    driver.redis.script_flush()
    claim = await driver.claim("stt-1")
    driver.redis.script_flush()
    assert await queue.commit("stt-1", claim, Outcome()) == "committed"
    assert (await queue.job(job_id)).status == "completed"


async def test_scripts_may_be_forgotten_at_any_moment(driver, queue):
    """Jobs complete while Redis forgets the scripts again and again, also between two commands of one call."""
    done = asyncio.Event()

    async def flush() -> None:
        while not done.is_set():
            await asyncio.to_thread(driver.redis.script_flush)

    flushing = asyncio.create_task(flush())
    try:
        for _ in range(200):
            await driver.submit()
            claim = await driver.claim("stt-1")
            assert await queue.commit("stt-1", claim, Outcome()) == "committed"
    finally:
        done.set()
        await flushing


async def test_audit_restores_a_task_that_is_in_no_place(driver, queue):
    """The audit pushes the lost task of a live job, and no task that is in a place."""
    lost, fine = await driver.submit(), await driver.submit()
    driver.redis.lrem(KEYS["QUEUE"] + "stt", 1, f"stt:{lost}")
    assert await queue.audit(older_than_s=60) == []
    assert await queue.audit(older_than_s=0) == [f"stt:{lost}"]
    assert await queue.audit(older_than_s=0) == []
    assert driver.placed_tasks() == sorted([f"stt:{fine}", f"stt:{lost}"])


async def test_audit_fails_a_job_without_open_tasks(driver, queue):
    """The audit fails a live job that has no task left, and drops one that has no hash."""
    job_id = await driver.submit()
    driver.redis.delete(KEYS["TASKS"] + job_id, KEYS["QUEUE"] + "stt")
    driver.redis.zadd(KEYS["LIVE"], {"0" * 32: 1})
    await queue.audit(older_than_s=0)
    assert (await queue.job(job_id)).status == "failed"
    assert driver.redis.zcard(KEYS["LIVE"]) == 0


async def test_audit_fails_no_job_while_redis_is_out_of_memory(driver, queue):
    """An audit of a Redis without memory raises QueueUnavailable; a later one restores the lost task."""
    lost = await driver.submit()
    driver.redis.delete(KEYS["QUEUE"] + "stt")
    driver.redis.config_set("maxmemory", "1")
    try:
        with pytest.raises(QueueUnavailable):
            await queue.audit(older_than_s=0)
    finally:
        driver.redis.config_set("maxmemory", "0")
    assert await queue.audit(older_than_s=0) == [f"stt:{lost}"]


async def test_second_copy_of_a_task_is_dropped(driver, queue):
    """A second copy of a task is dropped when it is claimed, whether the first is running or done."""
    job_id = await driver.submit()
    claim = await driver.claim("stt-1")
    driver.redis.lpush(KEYS["QUEUE"] + "stt", f"stt:{job_id}")
    await driver.enlist("stt-2")
    assert await queue.claim("stt-2", "stt", "t") is None
    outcome = Outcome(next=[(f"llm:{job_id}", "")])
    assert await queue.commit("stt-1", claim, outcome) == "committed"
    driver.redis.lpush(KEYS["QUEUE"] + "stt", f"stt:{job_id}")
    assert await queue.claim("stt-2", "stt", "t") is None
    assert driver.placed_tasks() == [f"llm:{job_id}"]


@pytest.mark.parametrize("junk", [b"\xff\x00junk", b"", b"stt:", b"llm:" + b"a" * 32, b"stt:zz", b'{"a": 1}'])
async def test_list_entry_that_is_no_task_is_dead_lettered(driver, queue, junk):
    """A list entry that is no task goes to the dead list when it is claimed, and the next job is claimed after it."""
    driver.redis.lpush(KEYS["QUEUE"] + "stt", junk)
    job_id = await driver.submit()
    await driver.enlist("stt-1")
    assert await queue.claim("stt-1", "stt", "t") is None
    driver.redis.lpush(KEYS["QUEUE"] + "stt", junk)
    claim = await driver.claim("stt-1")
    assert claim.job_id == job_id
    held = driver.hold("stt-1")
    assert held is not None
    assert await queue.begin("stt-1", "stt", "t", held) is None
    assert driver.redis.llen(KEYS["HELD"] + "stt-1") == 1


async def test_heartbeat_returns_a_task_whose_claim_was_lost(driver, queue):
    """A heartbeat returns the task that the worker holds without knowing it, and begin starts it."""
    job_id = await driver.submit()
    await driver.enlist("stt-1")
    driver.hold("stt-1")
    assert await queue.heartbeat("stt-1", WorkerInfo("stt", "e", "m")) == [f"stt:{job_id}"]
    assert isinstance(await queue.begin("stt-1", "stt", "t", f"stt:{job_id}"), Claim)


async def test_task_of_a_rolled_back_commit_is_committed_by_the_next_attempt(driver, queue, shared_redis):
    """After Redis has lost a commit with its last second, the next attempt commits, and the first one is stale."""
    await queue.reclaim()
    job_id = await driver.submit()
    claim = await driver.claim("stt-1")
    with Redis.from_url(shared_redis.url) as raw:  # bytes: a dump is no text
        before = {key: raw.dump(key) for key in raw.scan_iter("*")}
        assert await queue.commit("stt-1", claim, Outcome({"transcript": "first"})) == "committed"
        raw.flushall()
        for key, value in before.items():
            raw.restore(key, 0, value)
    assert driver.placed_tasks() == [f"stt:{job_id}"]
    driver.expire_lease("stt-1")
    await queue.reclaim()
    again = await driver.claim("stt-2")
    assert again.token != claim.token
    assert await queue.commit("stt-2", again, Outcome({"transcript": "second"})) == "committed"
    assert await queue.commit("stt-1", claim, Outcome({"transcript": "third"})) == "stale"
    assert (await queue.job(job_id)).transcript == "second"


async def test_worker_that_claims_after_its_lease_ran_out_has_a_new_lease(driver, queue):
    """The task of a worker that claims after a pause and dies before its next heartbeat is reclaimed."""
    await driver.enlist("stt-1")
    await queue.reclaim()
    driver.expire_lease("stt-1")
    await queue.reclaim()
    job_id = await driver.submit()
    assert await queue.claim("stt-1", "stt", "t") is not None
    assert await queue.reclaim() == [], "the claim has renewed its lease"
    driver.expire_lease("stt-1")
    assert await queue.reclaim() == [f"stt:{job_id}"]
