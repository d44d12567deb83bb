"""Submitting, completing, cancelling and erasing jobs, and Redis outages in between."""

import asyncio
import random
import time
from contextlib import suppress
from uuid import uuid4

import pytest
from redis import Redis, exceptions
from redis.backoff import NoBackoff
from redis.retry import Retry

from shared.errors import QueueFull, QueueUnavailable
from shared.queue.events import SegmentEvent
from shared.queue.keys import KEYS
from shared.queue.messages import Outcome
from shared.queue.queue import Queue
from shared.queue.stages import task_name

pytestmark = pytest.mark.redis


async def test_job_passes_its_route_and_completes(driver, queue):
    """A job on the whole route has the results of each stage, and no task is left over when it completes."""
    job_id = await driver.reach_tts(segments=2)
    for index in range(2):
        claim = await driver.claim("tts-1", "tts")
        assert (claim.part, claim.input) == (str(index), f"text {index}")
        outcome = Outcome(part=(index, f"file {index}"), events=[SegmentEvent(index, 1.0, f"file {index}")])
        assert await queue.commit("tts-1", claim, outcome) == "committed"
    join = await driver.claim("tts-1", "tts")
    assert (join.part, join.input) == ("join", '["file 0","file 1"]')
    assert await queue.commit("tts-1", join, Outcome({"audio_path": "output/x.wav"})) == "committed"

    job = await queue.job(job_id)
    assert job is not None
    assert (job.status, job.transcript, job.response) == ("completed", "hi", "there")
    assert job.audio_path == "output/x.wav"
    assert set(job.timings.stages) == {"stt", "llm", "tts"}
    assert job.timings.total_s is not None
    assert job.timings.first_audio_s is not None
    assert driver.places() == {}
    assert driver.redis.exists(KEYS["TASKS"] + job_id) == 0
    assert [event["event"] for event in await queue.events(job_id)] == [
        *("pending", "processing", "stage_done", "processing", "stage_done", "processing", "segment", "segment"),
        "completed",
    ]


async def test_repeated_submit_makes_one_job(driver, queue):
    """A submit that the API repeats because its reply was lost makes one job."""
    job_id = uuid4().hex
    for _ in range(3):
        accepted = await queue.submit(job_id, {"route": "stt"}, [(task_name("stt", job_id), "")], max_live=1)
        assert accepted == job_id
    assert driver.placed_tasks() == [f"stt:{job_id}"]


async def test_repeated_idempotency_key_returns_the_first_job(driver, queue):
    """A repeated Idempotency-Key returns the first job and adds no task, until that job has been erased."""
    first = await driver.submit(idempotency_key="k")
    second = uuid4().hex
    accepted = await queue.submit(second, {}, [(task_name("stt", second), "")], max_live=9, idempotency_key="k")
    assert accepted == first
    assert driver.placed_tasks() == [f"stt:{first}"]
    await queue.cancel(first)
    await queue.erase(first)
    await driver.submit(idempotency_key="k")


async def test_submit_is_refused_at_the_limit_of_live_jobs(driver, queue):
    """A refused job leaves no task, and a job that ends makes room for another."""
    first = await driver.submit(max_live=1)
    with pytest.raises(QueueFull):
        await driver.submit(max_live=1)
    assert driver.placed_tasks() == [f"stt:{first}"]
    await queue.cancel(first)
    await driver.submit(max_live=1)


@pytest.mark.parametrize("place", ["waiting", "held", "begun", "delayed", "segments"])
async def test_cancel_removes_the_tasks_of_a_job_from_every_place(driver, queue, place):
    """Cancelling removes a job's tasks wherever they are and erases its text; a late commit restores neither."""
    claim = None
    if place == "segments":
        job_id = await driver.reach_tts(segments=3)
        claim = await driver.claim("tts-1", "tts")
    else:
        job_id = await driver.submit()
        if place == "held":
            await driver.enlist("stt-1")
            driver.hold("stt-1")
        if place in ("begun", "delayed"):
            claim = await driver.claim("stt-1")
        if place == "rescheduled":
            await queue.reschedule("stt-1", claim, 60, "x", crashed=False)

    assert await queue.cancel(job_id) == "cancelled"
    if place == "held":  # no attempt, so no script knew which worker holds it: that worker drops it
        assert await queue.begin("stt-1", "stt", "token", f"stt:{job_id}") is None
    assert driver.places() == {}
    if claim:
        assert await queue.commit("stt-1", claim, Outcome({"transcript": "late"})) == "stale"
    fields = await queue.fields(job_id)
    assert fields["status"] == "cancelled"
    assert "transcript" not in fields
    assert "response" not in fields
    assert (await queue.events(job_id))[-1]["event"] == "cancelled"


async def test_cancel_changes_no_ended_or_unknown_job(driver, queue):
    """Cancelling an ended or an unknown job changes nothing and is no error."""
    job_id = await driver.submit()
    await queue.cancel(job_id)
    assert await queue.cancel(job_id) == "job_ended"
    assert await queue.cancel(uuid4().hex) == "gone"


async def test_erase_removes_an_ended_job_only(driver, queue):
    """Erasing an ended job removes all its keys and dead letters; a live job stays."""
    job_id = await driver.submit()
    assert await queue.erase(job_id) is False
    claim = await driver.claim("stt-1")
    await queue.dead_letter("stt-1", claim, "bad", "It is bad.")
    assert driver.redis.lrange(KEYS["DEAD"], 0, -1) == [f"stt:{job_id}"]
    assert await queue.erase(job_id) is True
    assert not [key for key in driver.redis.scan_iter("*") if job_id in key]
    assert driver.places() == {}
    assert driver.redis.zcard(KEYS["ENDED"]) == 0


async def test_ended_before_lists_jobs_by_their_end(driver, queue):
    """The jobs past retention are those that ended before it by Redis's clock, however old a live job is."""
    live, ended = await driver.submit(), await driver.submit()
    await queue.cancel(ended)
    await asyncio.sleep(0.01)
    assert await queue.ended_before(60_000) == []
    driver.redis.zadd(KEYS["ENDED"], {ended: 1})
    assert await queue.ended_before(60_000) == [ended]
    assert live not in await queue.ended_before(0)


async def test_changes_yields_a_job_at_each_of_its_events(driver, queue):
    """A subscriber receives a job's id at each of its events."""
    changes = queue.changes()
    assert await anext(changes) == ""
    job_id = await driver.submit()
    assert await asyncio.wait_for(anext(changes), 5) == job_id
    await queue.cancel(job_id)
    assert await asyncio.wait_for(anext(changes), 5) == job_id
    await changes.aclose()


async def test_unreachable_redis_raises_queue_unavailable():
    """A Redis that cannot be reached raises QueueUnavailable, not an exception of redis-py."""
    queue = Queue.connect("redis://127.0.0.1:1/0")
    with pytest.raises(QueueUnavailable):
        await queue.ping()
    with pytest.raises(QueueUnavailable):
        await queue.submit("a", {}, [("stt:a", "")], max_live=1)
    await queue.close()


async def test_redis_without_memory_raises_queue_unavailable(queue, driver):
    """A Redis whose memory is full raises QueueUnavailable, and serves again when it has room."""
    await queue.ping()
    driver.redis.config_set("maxmemory", "1")
    driver.redis.config_set("maxmemory-policy", "noeviction")
    try:
        with pytest.raises(QueueUnavailable):
            await driver.submit()
    finally:
        driver.redis.config_set("maxmemory", "0")
    await driver.submit()


async def test_refusal_in_a_script_or_pipeline_raises_queue_unavailable(queue, driver):
    """A refused write raises QueueUnavailable in a script, in a command, and in a claim's two commands, whose error may
    be quoted in another one."""
    await driver.submit()
    await driver.enlist("stt-1")
    driver.redis.config_set("min-replicas-to-write", 1)
    try:
        for refused in (driver.submit(), driver.enlist("stt-2"), queue.claim("stt-1", "stt", "t")):
            with pytest.raises(QueueUnavailable):
                await refused
    finally:
        driver.redis.config_set("min-replicas-to-write", 0)
    assert await queue.claim("stt-1", "stt", "t") is not None


async def test_busy_redis_raises_queue_unavailable(queue, driver, shared_redis):
    """A claim raises QueueUnavailable while another client's script blocks Redis, and the task can be claimed later."""
    await driver.submit()
    await driver.enlist("stt-1")
    before = driver.redis.config_get("lua-time-limit")["lua-time-limit"]
    driver.redis.config_set("lua-time-limit", 1)
    impatient = Redis.from_url(shared_redis.url, socket_timeout=0.2, retry=Retry(NoBackoff(), 0))
    with impatient as other, pytest.raises(exceptions.TimeoutError):
        other.eval("while true do end", 0)
    try:
        with pytest.raises(QueueUnavailable):
            await queue.claim("stt-1", "stt", "t")
    finally:
        end_script(driver.redis)
        driver.redis.config_set("lua-time-limit", before)
    assert await queue.claim("stt-1", "stt", "t") is not None


def end_script(redis: Redis) -> None:
    """Kill the running script, and wait until Redis serves again."""
    redis.script_kill()
    while True:
        with suppress(exceptions.ResponseError):  # BUSY
            redis.ping()
            return
        time.sleep(0.01)


async def test_connection_that_broke_while_idle_is_replaced(queue, driver):
    """The first command on a connection that broke while idle, as when Redis was restarted, succeeds."""
    await queue.ping()
    driver.redis.client_kill_filter(_type="normal", skipme=True)
    await queue.ping()


async def test_cancellation_during_a_command_is_never_lost(queue):
    """An asyncio task that is cancelled at any moment of a command ends."""
    rng = random.Random(1)
    for _ in range(200):
        task = asyncio.create_task(_read_for_ever(queue))
        await asyncio.sleep(rng.random() * 0.003)
        task.cancel()
        done, _ = await asyncio.wait([task], timeout=1)
        assert done


async def _read_for_ever(queue: Queue) -> None:
    while True:
        await queue.fields("unknown")


async def test_cancellation_of_a_subscriber_is_never_lost(queue):
    """A subscriber that is cancelled while it waits for a message ends."""

    async def subscribe() -> None:
        async for _ in queue.changes():
            pass

    rng = random.Random(2)
    for _ in range(30):
        task = asyncio.create_task(subscribe())
        await asyncio.sleep(rng.random() * 0.01)
        task.cancel()
        done, _ = await asyncio.wait([task], timeout=3)
        assert done
