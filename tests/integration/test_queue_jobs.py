"""Submitting, ending, cancelling and forgetting jobs."""

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


async def test_a_job_passes_its_route_and_completes(driver, queue):
    """From upload to answer, each step leaves its results, and nothing is left over at the end."""
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


async def test_a_repeated_submit_makes_one_job(driver, queue):
    """The API may say it again when the reply was lost."""
    job_id = uuid4().hex
    for _ in range(3):
        made = await queue.submit(job_id, {"route": "stt"}, [(task_name("stt", job_id), "")], max_live=1)
        assert made == job_id
    assert driver.everywhere() == [f"stt:{job_id}"]


async def test_an_idempotency_key_leads_to_the_first_job(driver, queue):
    """An upload that is repeated with its key does no second work, until the first job has been erased."""
    first = await driver.submit(idempotency_key="k")
    second = uuid4().hex
    again = await queue.submit(second, {}, [(task_name("stt", second), "")], max_live=9, idempotency_key="k")
    assert again == first
    assert driver.everywhere() == [f"stt:{first}"]
    await queue.cancel(first)
    await queue.erase(first)
    await driver.submit(idempotency_key="k")


async def test_one_job_more_than_allowed_is_refused(driver, queue):
    """A refused job leaves nothing, and an ended one makes room."""
    first = await driver.submit(max_live=1)
    with pytest.raises(QueueFull):
        await driver.submit(max_live=1)
    assert driver.everywhere() == [f"stt:{first}"]
    await queue.cancel(first)
    await driver.submit(max_live=1)


@pytest.mark.parametrize("place", ["waiting", "held", "begun", "delayed", "segments"])
async def test_cancel_takes_a_job_out_of_every_place(driver, queue, place):
    """Wherever its tasks are, they go; the text is erased; a late commit brings nothing back."""
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
        if place == "delayed":
            await queue.reschedule("stt-1", claim, 60, "x", crashed=False)

    assert await queue.cancel(job_id) == "cancelled"
    if place == "held":  # not begun, so nobody knew whose hands it was in: its worker drops it
        assert await queue.begin("stt-1", "stt", "token", f"stt:{job_id}") is None
    assert driver.places() == {}
    if claim:
        assert await queue.commit("stt-1", claim, Outcome({"transcript": "late"})) == "stale"
    fields = await queue.fields(job_id)
    assert fields["status"] == "cancelled"
    assert "transcript" not in fields
    assert "response" not in fields
    assert (await queue.events(job_id))[-1]["event"] == "cancelled"


async def test_cancel_says_what_it_found(driver, queue):
    """A job that has ended is left as it is, and an unknown one is no error."""
    job_id = await driver.submit()
    await queue.cancel(job_id)
    assert await queue.cancel(job_id) == "over"
    assert await queue.cancel(uuid4().hex) == "gone"


async def test_forget_erases_an_ended_job_only(driver, queue):
    """Every key of the job goes, its dead tasks too; a live job stays."""
    job_id = await driver.submit()
    assert await queue.erase(job_id) is False
    claim = await driver.claim("stt-1")
    await queue.dead_letter("stt-1", claim, "bad", "It is bad.")
    assert driver.redis.lrange(KEYS["DEAD"], 0, -1) == [f"stt:{job_id}"]
    assert await queue.erase(job_id) is True
    assert not [key for key in driver.redis.scan_iter("*") if job_id in key]
    assert driver.places() == {}
    assert driver.redis.zcard(KEYS["ENDED"]) == 0


async def test_jobs_are_listed_by_when_they_ended(driver, queue):
    """Retention counts from the end of a job by Redis's clock."""
    live, ended = await driver.submit(), await driver.submit()
    await queue.cancel(ended)
    await asyncio.sleep(0.01)
    assert await queue.ended_before(60_000) == []
    driver.redis.zadd(KEYS["ENDED"], {ended: 1})
    assert await queue.ended_before(60_000) == [ended]
    assert live not in await queue.ended_before(0)


async def test_changes_are_told_as_they_happen(driver, queue):
    """Whoever listens hears of each step of each job."""
    changes = queue.changes()
    assert await anext(changes) == ""
    job_id = await driver.submit()
    assert await asyncio.wait_for(anext(changes), 5) == job_id
    await queue.cancel(job_id)
    assert await asyncio.wait_for(anext(changes), 5) == job_id
    await changes.aclose()


async def test_no_redis_is_an_error_of_ours():
    """Nobody outside the queue needs to know redis-py's exceptions."""
    queue = Queue.connect("redis://127.0.0.1:1/0")
    with pytest.raises(QueueUnavailable):
        await queue.ping()
    with pytest.raises(QueueUnavailable):
        await queue.submit("a", {}, [("stt:a", "")], max_live=1)
    await queue.close()


async def test_a_redis_that_refuses_us_is_not_answering(queue, driver):
    """A password that was set, or memory that is full, is an outage like another, and ends like one."""
    await queue.ping()
    driver.redis.config_set("maxmemory", "1")
    driver.redis.config_set("maxmemory-policy", "noeviction")
    try:
        with pytest.raises(QueueUnavailable):
            await driver.submit()
    finally:
        driver.redis.config_set("maxmemory", "0")
    await driver.submit()


async def test_a_refusal_is_known_wherever_the_client_tells_it(queue, driver):
    """In a script, alone, or amid what a claim sends at once, where the client library puts its own words before it."""
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


async def test_a_busy_redis_is_not_answering(queue, driver, shared_redis):
    """While somebody's script takes too long, every job is where it was."""
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
    """Kill what runs, and wait until it has noticed."""
    redis.script_kill()
    while True:
        with suppress(exceptions.ResponseError):  # BUSY
            redis.ping()
            return
        time.sleep(0.01)


async def test_a_connection_that_broke_while_idle_is_not_noticed(queue, driver):
    """After Redis was started anew, the first request on each old connection is served all the same."""
    await queue.ping()
    driver.redis.client_kill_filter(_type="normal", skipme=True)
    await queue.ping()


async def test_a_cancellation_is_never_lost(queue):
    """Whenever in a command it comes, the task that is told to end does end."""
    chance = random.Random(1)
    for _ in range(200):
        task = asyncio.create_task(_ask_for_ever(queue))
        await asyncio.sleep(chance.random() * 0.003)
        task.cancel()
        done, _ = await asyncio.wait([task], timeout=1)
        assert done


async def _ask_for_ever(queue: Queue) -> None:
    while True:
        await queue.fields("nobody")


async def test_a_listener_that_is_told_to_end_does(queue):
    """A cancellation is not lost between two messages either."""

    async def listen() -> None:
        async for _ in queue.changes():
            pass

    chance = random.Random(2)
    for _ in range(30):
        task = asyncio.create_task(listen())
        await asyncio.sleep(chance.random() * 0.01)
        task.cancel()
        done, _ = await asyncio.wait([task], timeout=3)
        assert done
