"""The counters behind `GET /metrics`."""

import pytest

from shared.queue.admin import QueueAdmin
from shared.queue.keys import KEYS, MAX_COUNTERS
from shared.queue.messages import Outcome
from shared.queue.stages import task_name

pytestmark = pytest.mark.redis


@pytest.fixture
def counts(queue):
    return QueueAdmin(queue).counts


async def test_job_is_counted_from_its_acceptance_to_its_end(driver, queue, counts):
    """A completed job counts once in its acceptance, its tasks, its end and its times, and these equal its timings."""
    job_id = await driver.reach_tts(2)
    driver.redis.hincrby(KEYS["JOB"] + job_id, "created_at", -2000)
    driver.redis.hincrby(KEYS["JOB"] + job_id, "queued_at:stt", -700)
    for part in range(2):
        claim = await driver.claim("tts-1", "tts")
        assert await queue.commit("tts-1", claim, Outcome(part=(part, f"{part}.wav"))) == "committed"
    join = await driver.claim("tts-1", "tts")
    assert "ended:completed" not in await counts()
    assert await queue.commit("tts-1", join, Outcome({"audio_path": "whole.wav"})) == "committed"

    counted = await counts()
    timings = (await queue.job(job_id)).timings
    assert {name: counted[name] for name in ("accepted", "ended:completed", "done:stt", "done:llm", "done:tts")} == {
        "accepted": 1,
        "ended:completed": 1,
        "done:stt": 1,
        "done:llm": 1,
        "done:tts": 3,
    }
    assert (counted["first_audio:2500"], counted["total:2500"], counted["waited:stt:1000"]) == (1, 1, 1)
    assert counted["first_audio:sum"] == round(timings.first_audio_s * 1000)
    assert counted["total:sum"] == round(timings.total_s * 1000)
    for stage, timing in timings.stages.items():
        assert counted[f"waited:{stage}:sum"] == round(timing.waited_s * 1000)
        assert counted[f"worked:{stage}:sum"] == round(timing.worked_s * 1000)
        buckets = [name for name in counted if name.startswith(f"worked:{stage}:") and not name.endswith(":sum")]
        assert sum(counted[name] for name in buckets) == 1


async def test_repeated_commit_counts_once(driver, queue, counts):
    """A commit that is repeated because its reply was lost increases the counters once."""
    await driver.submit()
    claim = await driver.claim("stt-1")
    outcome = Outcome(counts={"stt_strategy:short_8": 1, "stt_fallback_reason:silent": 2})
    verdicts = [await queue.commit("stt-1", claim, outcome) for _ in range(2)]
    assert verdicts == ["committed", "stale"]
    counted = await counts()
    assert (counted["engine_event:stt_strategy:short_8"], counted["engine_event:stt_fallback_reason:silent"]) == (1, 2)
    assert (counted["done:stt"], counted["ended:completed"], counted["total:sum"] >= 0) == (1, 1, True)


async def test_times_are_added_to_any_stored_sum(driver, queue):
    """A sum past what a Lua number holds stays exact, and a sum that is no number is left as it is."""
    large, junk = str(2**60 + 1), "junk"
    driver.redis.hset(KEYS["COUNTS"], mapping={"total:sum": large, "total:50": large, "waited:stt:sum": junk})
    await driver.submit()
    assert await queue.commit("stt-1", await driver.claim("stt-1"), Outcome()) == "committed"
    stored = driver.redis.hgetall(KEYS["COUNTS"])
    assert 0 <= int(stored["total:sum"]) - int(large) < 60_000
    assert int(stored["total:50"]) - int(large) in (0, 1)
    assert stored["waited:stt:sum"] == junk
    assert stored["ended:completed"] == "1"


async def test_late_commit_is_not_counted(driver, queue, counts):
    """A stale commit, and one of a job that has ended, increases no counter."""
    outcome = Outcome(counts={"stt_strategy:full": 1})
    job_id = await driver.submit()
    paused = await driver.claim("stt-1")
    await queue.release("stt-1", paused)
    current = await driver.claim("stt-2")
    assert await queue.commit("stt-1", paused, outcome) == "stale"
    driver.redis.hset(KEYS["JOB"] + job_id, "status", "failed")
    assert await queue.commit("stt-2", current, outcome) == "job_ended"
    counted = await counts()
    assert not any(name.startswith(("engine_event:", "done:")) for name in counted)


async def test_retries_reclaims_and_dead_letters_are_counted(driver, queue, counts):
    """Rescheduled, reclaimed and dead-lettered tasks are counted by stage, the latter by their error code too."""
    await driver.submit()
    await queue.reschedule("stt-1", await driver.claim("stt-1"), 0, "model_unavailable", crashed=False)
    await queue.promote()
    await driver.claim("stt-1")
    await queue.reclaim()
    driver.expire_lease("stt-1")
    assert len(await queue.reclaim()) == 1
    await queue.dead_letter("stt-2", await driver.claim("stt-2"), "no_speech", "No speech.")
    await queue.cancel(await driver.submit())
    counted = await counts()
    assert counted == {
        "accepted": 2,
        "retried:stt": 1,
        "reclaimed:stt": 1,
        "dead_lettered:stt:no_speech": 1,
        "ended:failed": 1,
        "ended:cancelled": 1,
    }


async def test_repeated_submit_counts_as_one_accepted_job(driver, counts):
    """A repeated submit of one job counts as one accepted job."""
    job_id = await driver.submit()
    await driver.submit(job_id=job_id)
    assert (await counts())["accepted"] == 1


async def test_engines_can_add_a_limited_number_of_counters(driver, queue, counts):
    """Engines can add counters up to a limit, as each is a time series; existing counters still increase past it."""
    names = {f"name_{number}": 1 for number in range(MAX_COUNTERS + 100)}
    for _ in range(2):
        await driver.submit()
        assert await queue.commit("stt-1", await driver.claim("stt-1"), Outcome(counts=names)) == "committed"
    counted = await counts()
    numbers = [number for name, number in counted.items() if name.startswith("engine_event:")]
    assert (len(numbers) < MAX_COUNTERS, set(numbers), counted["done:stt"]) == (True, {2}, 2)


@pytest.mark.parametrize("name", ["", "two words", 'a"b', "a\nb", "ä", "x" * 65, "{}"])
async def test_counter_with_an_invalid_name_is_ignored(driver, queue, counts, name):
    """A counter whose name is no short word, or that would decrease, is ignored, and the others are counted."""
    job_id = await driver.submit()
    outcome = Outcome(next=[(task_name("llm", job_id), "")], counts={name: 1, "word": 1, "less": -1})
    assert await queue.commit("stt-1", await driver.claim("stt-1"), outcome) == "committed"
    assert [field for field in await counts() if field.startswith("engine_event:")] == ["engine_event:word"]
