"""Shorter routes on the same machinery: they end where they end, and survive what the long one survives."""

from uuid import uuid4

import pytest

from shared.queue.admin import QueueAdmin
from shared.queue.events import TextEvent, TranscriptEvent
from shared.queue.keys import KEYS
from shared.queue.messages import Outcome
from shared.queue.stages import SYNTHESIS_ONLY, first_task, task_name

pytestmark = pytest.mark.redis


@pytest.fixture
def send(queue):
    """Submits a job on a route."""

    async def send(route, **fields):
        job_id = uuid4().hex
        await queue.submit(job_id, {"route": route} | fields, [first_task(route, job_id)], max_live=1000)
        return job_id

    return send


async def events(queue, job_id):
    return [event["event"] for event in await queue.events(job_id)]


async def assert_left_nothing(driver, job_id):
    assert driver.places() == {}
    assert not driver.redis.exists(KEYS["TASKS"] + job_id)
    assert driver.redis.zscore(KEYS["LIVE"], job_id) is None


async def test_a_job_ends_with_its_transcript(driver, queue, send):
    """route=stt: nothing follows."""
    job_id = await send("stt")
    claim = await driver.claim("stt-1")
    assert (
        await queue.commit("stt-1", claim, Outcome({"transcript": "hello"}, events=[TranscriptEvent("hello", "en")]))
        == "committed"
    )
    job = await queue.job(job_id)
    assert (job.status, job.stage, set(job.timings.stages)) == ("completed", "stt", {"stt"})
    assert job.timings.total_s is not None
    assert await events(queue, job_id) == ["pending", "processing", "transcript", "completed"]
    await assert_left_nothing(driver, job_id)


def written(text, step=0, *, is_last=False):
    """A step of an answer that nobody is to speak."""
    fields = {"response": text} | ({"engine:llm": "mind"} if is_last else {})
    return Outcome(fields, events=[TextEvent(text)], steps=step)


async def test_an_answer_that_is_not_spoken_comes_step_by_step_and_ends(driver, queue, send):
    """route=stt,llm: its text is told as it grows, no parts are made, and the commit completes the job."""
    job_id = await send("stt,llm")
    heard = Outcome({"transcript": "hello"}, [(task_name("llm", job_id), "")])
    await queue.commit("stt-1", await driver.claim("stt-1"), heard)
    claim = await driver.claim("llm-1", "llm")
    for step in range(3):
        assert await queue.commit_partial("llm-1", claim, written(f"so far {step}", step)) == "extended"
        assert (await queue.job(job_id)).response == f"so far {step}"
    assert await queue.commit("llm-1", claim, written("whole", 3, is_last=True)) == "committed"
    job = await queue.job(job_id)
    assert (job.status, job.response, set(job.timings.stages)) == ("completed", "whole", {"stt", "llm"})
    assert (await events(queue, job_id))[-5:] == ["text", "text", "text", "text", "completed"]
    await assert_left_nothing(driver, job_id)


async def test_an_unspoken_answer_begins_anew_where_its_worker_dies(driver, queue, send):
    """Whoever has read some of it is told, and its end is one answer's."""
    job_id = await send("llm", transcript="hello")
    dead = await driver.claim("llm-1", "llm")
    await queue.commit_partial("llm-1", dead, written("half"))
    await queue.reclaim()
    driver.let_die("llm-1")
    await queue.reclaim()
    claim = await driver.claim("llm-2", "llm")
    assert (await queue.job(job_id)).response is None
    assert await queue.commit("llm-2", claim, written("whole", is_last=True)) == "committed"
    assert (await queue.job(job_id)).response == "whole"
    told = await events(queue, job_id)
    assert told == ["pending", "processing", "text", "restarted", "processing", "text", "completed"]
    await assert_left_nothing(driver, job_id)


async def speak(driver, queue, parts):
    for _ in range(parts):
        claim = await driver.claim("tts-2", "tts")
        part = (int(claim.part), f"{claim.part}.wav")
        assert await queue.commit("tts-2", claim, Outcome({"engine:tts": "mouth"}, part=part)) == "committed"


async def test_a_text_is_cut_spoken_and_joined(driver, queue, send):
    """route=tts: the stage is done when the whole is, not when the text has been cut."""
    job_id = await send(SYNTHESIS_ONLY, response="One. Two.")
    cut = await driver.claim("tts-1", "tts")
    assert (cut.part, cut.fields["response"]) == (None, "One. Two.")
    assert await queue.commit("tts-1", cut, Outcome(parts=("tts", ["One.", "Two."]))) == "committed"
    await speak(driver, queue, 2)
    join = await driver.claim("tts-1", "tts")
    assert (join.part, join.input) == ("join", '["0.wav","1.wav"]')
    assert await queue.commit("tts-1", join, Outcome({"audio_path": "whole.wav"})) == "committed"
    job = await queue.job(job_id)
    assert (job.status, job.attempts, set(job.timings.stages)) == ("completed", {"tts": 4}, {"tts"})
    assert None not in (job.timings.first_audio_s, job.timings.total_s, job.timings.stages["tts"].worked_s)
    assert await events(queue, job_id) == ["pending", "processing", "completed"]
    await assert_left_nothing(driver, job_id)


async def test_a_text_that_could_not_be_cut_is_tried_again(driver, queue, send):
    """It waits, is set aside in the end, and goes on from there when it is revived: no recording is asked for."""
    operations = QueueAdmin(queue)
    job_id = await send(SYNTHESIS_ONLY, response="One.")
    claim = await driver.claim("tts-1", "tts")
    assert await queue.reschedule("tts-1", claim, 0, "engine_failed", crashed=False) == "delayed"
    await queue.promote()
    claim = await driver.claim("tts-1", "tts")
    assert claim.attempt == 2
    assert await queue.dead_letter("tts-1", claim, "engine_failed", "It broke.") == "buried"
    [letter] = await operations.dead_letters()
    assert (letter.task, letter.stage, letter.attempts) == (f"tts:{job_id}", "tts", 2)

    assert await operations.retry_job(job_id, max_live=1000) == "revived"
    cut = await driver.claim("tts-1", "tts")
    await queue.commit("tts-1", cut, Outcome(parts=("tts", ["One."])))
    part = await driver.claim("tts-1", "tts")
    assert await queue.dead_letter("tts-1", part, "unknown_voice", "No such voice.") == "buried"
    assert await operations.retry_job(job_id, max_live=1000) == "revived"
    await speak(driver, queue, 1)
    join = await driver.claim("tts-1", "tts")
    await queue.commit("tts-1", join, Outcome({"audio_path": "whole.wav"}))
    assert (await queue.job(job_id)).status == "completed"
    await assert_left_nothing(driver, job_id)


@pytest.mark.parametrize("route", ["stt", "llm,tts", "tts"])
async def test_a_lost_first_task_is_found(driver, queue, send, route):
    """The audit knows every route's."""
    job_id = await send(route, transcript="hello", response="there")
    stage = route[:3]
    driver.redis.delete(KEYS["QUEUE"] + stage)
    assert await queue.audit(older_than_s=0) == [f"{stage}:{job_id}"]
    assert (await driver.claim(f"{stage}-1", stage)).job_id == job_id


async def test_a_text_that_is_cancelled_leaves_nothing(driver, queue, redis, send):
    """Its parts leave the list, and its text the job."""
    job_id = await send(SYNTHESIS_ONLY, response="secret")
    cut = await driver.claim("tts-1", "tts")
    await queue.commit("tts-1", cut, Outcome(parts=("tts", ["secret", "secret"])))
    assert await queue.cancel(job_id) == "cancelled"
    await assert_left_nothing(driver, job_id)
    assert "secret" not in str(redis.hgetall(KEYS["JOB"] + job_id))
