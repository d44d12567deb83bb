"""What is counted for whoever watches the system."""

import pytest

from shared.queue.admin import QueueAdmin
from shared.queue.keys import KEYS, MOST_COUNTS
from shared.queue.messages import Outcome
from shared.queue.stages import task_name

pytestmark = pytest.mark.redis


@pytest.fixture
def counts(queue):
    return QueueAdmin(queue).counts


async def test_a_job_is_counted_from_its_acceptance_to_its_end(driver, queue, counts):
    """Its tasks, its end, and the times that its status tells, each once."""
    job_id = await driver.reach_tts(2)
    driver.redis.hincrby(KEYS["JOB"] + job_id, "created_at", -2000)
    driver.redis.hincrby(KEYS["JOB"] + job_id, "queued_at:stt", -700)
    for part in range(2):
        spoken = await driver.claim("tts-1", "tts")
        assert await queue.commit("tts-1", spoken, Outcome(part=(part, f"{part}.wav"))) == "committed"
    join = await driver.claim("tts-1", "tts")
    assert "ended:completed" not in await counts()
    assert await queue.commit("tts-1", join, Outcome({"audio_path": "whole.wav"})) == "committed"

    told, timings = await counts(), (await queue.job(job_id)).timings
    assert {name: told[name] for name in ("accepted", "ended:completed", "done:stt", "done:llm", "done:tts")} == {
        "accepted": 1,
        "ended:completed": 1,
        "done:stt": 1,
        "done:llm": 1,
        "done:tts": 3,
    }
    assert (told["first_audio:2500"], told["total:2500"], told["waited:stt:1000"]) == (1, 1, 1)
    assert told["first_audio:sum"] == round(timings.first_audio_s * 1000)
    assert told["total:sum"] == round(timings.total_s * 1000)
    for stage, timing in timings.stages.items():
        assert told[f"waited:{stage}:sum"] == round(timing.waited_s * 1000)
        assert told[f"worked:{stage}:sum"] == round(timing.worked_s * 1000)
        buckets = [name for name in told if name.startswith(f"worked:{stage}:") and not name.endswith(":sum")]
        assert sum(told[name] for name in buckets) == 1


async def test_what_is_committed_again_counts_once(driver, queue, counts):
    """The first reply was lost, and the call is repeated."""
    await driver.submit()
    claim = await driver.claim("stt-1")
    outcome = Outcome(counts={"stt_strategy:short_8": 1, "stt_fallback_reason:silent": 2})
    verdicts = [await queue.commit("stt-1", claim, outcome) for _ in range(2)]
    assert verdicts == ["committed", "stale"]
    told = await counts()
    assert (told["reported:stt_strategy:short_8"], told["reported:stt_fallback_reason:silent"]) == (1, 2)
    assert (told["done:stt"], told["ended:completed"], told["total:sum"] >= 0) == (1, 1, True)


async def test_what_comes_too_late_is_not_counted(driver, queue, counts):
    """A worker that was paused, and one whose job was cancelled."""
    outcome = Outcome(counts={"stt_strategy:full": 1})
    job_id = await driver.submit()
    paused = await driver.claim("stt-1")
    await queue.release("stt-1", paused)
    current = await driver.claim("stt-2")
    assert await queue.commit("stt-1", paused, outcome) == "stale"
    driver.redis.hset(KEYS["JOB"] + job_id, "status", "failed")
    assert await queue.commit("stt-2", current, outcome) == "over"
    told = await counts()
    assert not any(name.startswith(("reported:", "done:")) for name in told)


async def test_what_goes_wrong_is_counted(driver, queue, counts):
    """Retries, work of dead workers, and what is set aside, by stage and reason."""
    await driver.submit()
    await queue.reschedule("stt-1", await driver.claim("stt-1"), 0, "model_unavailable", crashed=False)
    await queue.promote()
    await driver.claim("stt-1")
    await queue.reclaim()
    driver.let_die("stt-1")
    assert len(await queue.reclaim()) == 1
    await queue.dead_letter("stt-2", await driver.claim("stt-2"), "no_speech", "Nobody speaks.")
    await queue.cancel(await driver.submit())
    told = await counts()
    assert told == {
        "accepted": 2,
        "retried:stt": 1,
        "reclaimed:stt": 1,
        "set_aside:stt:no_speech": 1,
        "ended:failed": 1,
        "ended:cancelled": 1,
    }


async def test_a_repeated_upload_is_accepted_once(driver, counts):
    """As the job is."""
    job_id = await driver.submit()
    await driver.submit(job_id=job_id)
    assert (await counts())["accepted"] == 1


async def test_engines_cannot_count_under_any_number_of_names(driver, queue, counts):
    """Each is a time series for whoever watches. Known ones count on, and so does what is ours."""
    names = {f"name_{number}": 1 for number in range(MOST_COUNTS + 100)}
    for _ in range(2):
        await driver.submit()
        assert await queue.commit("stt-1", await driver.claim("stt-1"), Outcome(counts=names)) == "committed"
    told = await counts()
    reported = [number for name, number in told.items() if name.startswith("reported:")]
    assert (len(reported) < MOST_COUNTS, set(reported), told["done:stt"]) == (True, {2}, 2)


@pytest.mark.parametrize("name", ["", "two words", 'a"b', "a\nb", "ä", "x" * 65, "{}"])
async def test_names_are_words(driver, queue, counts, name):
    """Others are passed over, and the job goes on."""
    job_id = await driver.submit()
    outcome = Outcome(next=[(task_name("llm", job_id), "")], counts={name: 1, "word": 1, "less": -1})
    assert await queue.commit("stt-1", await driver.claim("stt-1"), outcome) == "committed"
    assert [field for field in await counts() if field.startswith("reported:")] == ["reported:word"]
