"""What the queue does about things that should not happen."""

import asyncio

import pytest
from redis import Redis

from shared.errors import QueueUnavailable
from shared.queue.keys import KEYS
from shared.queue.messages import Claim, Outcome, WorkerInfo

pytestmark = pytest.mark.redis


async def test_scripts_are_loaded_again_when_redis_forgets_them(driver, queue):
    """SCRIPT FLUSH, and a server that was started anew, go unnoticed."""
    job_id = await driver.submit()
    driver.redis.script_flush()
    claim = await driver.claim("stt-1")
    driver.redis.script_flush()
    assert await queue.commit("stt-1", claim, Outcome()) == "committed"
    assert (await queue.job(job_id)).status == "completed"


async def test_scripts_that_are_forgotten_again_and_again_go_unnoticed(driver, queue):
    """Redis may forget them at any moment, also in the middle of their being sent."""
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


async def test_the_audit_puts_back_what_is_in_no_place(driver, queue):
    """A job whose task has vanished goes on; one whose task is where it should be is left alone."""
    lost, fine = await driver.submit(), await driver.submit()
    driver.redis.lrem(KEYS["QUEUE"] + "stt", 1, f"stt:{lost}")
    assert await queue.audit(older_than_s=60) == []
    assert await queue.audit(older_than_s=0) == [f"stt:{lost}"]
    assert await queue.audit(older_than_s=0) == []
    assert driver.everywhere() == sorted([f"stt:{fine}", f"stt:{lost}"])


async def test_the_audit_ends_a_job_that_nothing_can_continue(driver, queue):
    """Better a failed job than one that waits for ever."""
    job_id = await driver.submit()
    driver.redis.delete(KEYS["TASKS"] + job_id, KEYS["QUEUE"] + "stt")
    driver.redis.zadd(KEYS["LIVE"], {"0" * 32: 1})
    await queue.audit(older_than_s=0)
    assert (await queue.job(job_id)).status == "failed"
    assert driver.redis.zcard(KEYS["LIVE"]) == 0


async def test_the_audit_blames_no_job_for_a_redis_without_memory(driver, queue):
    """What it finds then it leaves alone, and puts back when there is room."""
    lost = await driver.submit()
    driver.redis.delete(KEYS["QUEUE"] + "stt")
    driver.redis.config_set("maxmemory", "1")
    try:
        with pytest.raises(QueueUnavailable):
            await queue.audit(older_than_s=0)
    finally:
        driver.redis.config_set("maxmemory", "0")
    assert await queue.audit(older_than_s=0) == [f"stt:{lost}"]


async def test_a_second_copy_of_a_task_does_no_harm(driver, queue):
    """Whoever is in doubt may push again: the copy is dropped, whether the first is running or done."""
    job_id = await driver.submit()
    claim = await driver.claim("stt-1")
    driver.redis.lpush(KEYS["QUEUE"] + "stt", f"stt:{job_id}")
    await driver.enlist("stt-2")
    assert await queue.claim("stt-2", "stt", "t") is None
    outcome = Outcome(next=[(f"llm:{job_id}", "")])
    assert await queue.commit("stt-1", claim, outcome) == "committed"
    driver.redis.lpush(KEYS["QUEUE"] + "stt", f"stt:{job_id}")
    assert await queue.claim("stt-2", "stt", "t") is None
    assert driver.everywhere() == [f"llm:{job_id}"]


@pytest.mark.parametrize("junk", [b"\xff\x00junk", b"", b"stt:", b"llm:" + b"a" * 32, b"stt:zz", b'{"a": 1}'])
async def test_what_is_no_task_goes_to_the_dead_list(driver, queue, junk):
    """An operator's mistake kills no worker and stops no job."""
    driver.redis.lpush(KEYS["QUEUE"] + "stt", junk)
    job_id = await driver.submit()
    await driver.enlist("stt-1")
    assert await queue.claim("stt-1", "stt", "t") is None
    driver.redis.lpush(KEYS["QUEUE"] + "stt", junk)
    claim = await driver.claim("stt-1")
    assert claim.job_id == job_id
    moved = driver.hold("stt-1")
    assert moved is not None
    assert await queue.begin("stt-1", "stt", "t", moved) is None
    assert driver.redis.llen(KEYS["HELD"] + "stt-1") == 1


async def test_a_task_that_was_handed_over_in_a_lost_reply_is_told_by_the_heartbeat(driver, queue):
    """What a worker holds is what Redis says it holds."""
    job_id = await driver.submit()
    await driver.enlist("stt-1")
    driver.hold("stt-1")
    assert await queue.heartbeat("stt-1", WorkerInfo("stt", "e", "m")) == [f"stt:{job_id}"]
    assert isinstance(await queue.begin("stt-1", "stt", "t", f"stt:{job_id}"), Claim)


async def test_a_rolled_back_commit_is_made_again(driver, queue, shared_redis):
    """When Redis has lost its last second, the task is in its worker's hands again and the next attempt commits."""
    await queue.reclaim()
    job_id = await driver.submit()
    claim = await driver.claim("stt-1")
    with Redis.from_url(shared_redis.url) as raw:  # bytes: a dump is no text
        before = {key: raw.dump(key) for key in raw.scan_iter("*")}
        assert await queue.commit("stt-1", claim, Outcome({"transcript": "first"})) == "committed"
        raw.flushall()
        for key, value in before.items():
            raw.restore(key, 0, value)
    assert driver.everywhere() == [f"stt:{job_id}"]
    driver.let_die("stt-1")
    await queue.reclaim()
    again = await driver.claim("stt-2")
    assert again.token != claim.token
    assert await queue.commit("stt-2", again, Outcome({"transcript": "second"})) == "committed"
    assert await queue.commit("stt-1", claim, Outcome({"transcript": "third"})) == "stale"
    assert (await queue.job(job_id)).transcript == "second"


async def test_a_worker_that_was_struck_off_is_looked_after_again_as_soon_as_it_claims(driver, queue):
    """It was paused for longer than its lease, comes back, claims, and dies before its next beat."""
    await driver.enlist("stt-1")
    await queue.reclaim()
    driver.let_die("stt-1")
    await queue.reclaim()
    job_id = await driver.submit()
    assert await queue.claim("stt-1", "stt", "t") is not None
    assert await queue.reclaim() == [], "it has a lease from its claim on"
    driver.let_die("stt-1")
    assert await queue.reclaim() == [f"stt:{job_id}"]
