"""Jobs on shorter routes: each stage's results, their end, and recovery from failures."""

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
    """Return a function that submits a job on a route."""

    async def send(route, **fields):
        job_id = uuid4().hex
        await queue.submit(job_id, {"route": route} | fields, [first_task(route, job_id)], max_live=1000)
        return job_id

    return send


async def events(queue, job_id):
    return [event["event"] for event in await queue.events(job_id)]


async def assert_nothing_left(driver, job_id):
    """Assert that no task of the job is open or in a place, and that the job is not live."""
    assert driver.places() == {}
    assert not driver.redis.exists(KEYS["TASKS"] + job_id)
    assert driver.redis.zscore(KEYS["LIVE"], job_id) is None


async def test_stt_route_completes_with_the_transcript(driver, queue, send):
    """A job on the route `stt` completes with the STT commit."""
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
    await assert_nothing_left(driver, job_id)


def answer_step(text, step=0, *, is_last=False):
    """Return a step of an answer that is not synthesized."""
    fields = {"response": text} | ({"engine:llm": "mind"} if is_last else {})
    return Outcome(fields, events=[TextEvent(text)], steps=step)


async def test_written_answer_grows_step_by_step_and_completes(driver, queue, send):
    """An answer on the route `stt,llm` is published as it grows, has no parts, and completes with the LLM commit."""
    job_id = await send("stt,llm")
    transcribed = Outcome({"transcript": "hello"}, [(task_name("llm", job_id), "")])
    await queue.commit("stt-1", await driver.claim("stt-1"), transcribed)
    claim = await driver.claim("llm-1", "llm")
    for step in range(3):
        assert await queue.commit_partial("llm-1", claim, answer_step(f"so far {step}", step)) == "recorded"
        assert (await queue.job(job_id)).response == f"so far {step}"
    assert await queue.commit("llm-1", claim, answer_step("whole", 3, is_last=True)) == "committed"
    job = await queue.job(job_id)
    assert (job.status, job.response, set(job.timings.stages)) == ("completed", "whole", {"stt", "llm"})
    assert (await events(queue, job_id))[-5:] == ["text", "text", "text", "text", "completed"]
    await assert_nothing_left(driver, job_id)


async def test_written_answer_is_restarted_when_its_worker_dies(driver, queue, send):
    """A written answer whose worker died is restarted with an event, and ends with the next worker's text alone."""
    job_id = await send("llm", transcript="hello")
    dead = await driver.claim("llm-1", "llm")
    await queue.commit_partial("llm-1", dead, answer_step("half"))
    await queue.reclaim()
    driver.expire_lease("llm-1")
    await queue.reclaim()
    claim = await driver.claim("llm-2", "llm")
    assert (await queue.job(job_id)).response is None
    assert await queue.commit("llm-2", claim, answer_step("whole", is_last=True)) == "committed"
    assert (await queue.job(job_id)).response == "whole"
    assert await events(queue, job_id) == [
        "pending",
        "processing",
        "text",
        "restarted",
        "processing",
        "text",
        "completed",
    ]
    await assert_nothing_left(driver, job_id)


async def synthesize(driver, queue, parts):
    """Commit so many parts."""
    for _ in range(parts):
        claim = await driver.claim("tts-2", "tts")
        part = (int(claim.part), f"{claim.part}.wav")
        assert await queue.commit("tts-2", claim, Outcome({"engine:tts": "mouth"}, part=part)) == "committed"


async def test_tts_route_splits_synthesizes_and_joins_a_text(driver, queue, send):
    """A job on the route `tts` completes with the join; splitting its text does not end the stage."""
    job_id = await send(SYNTHESIS_ONLY, response="One. Two.")
    split = await driver.claim("tts-1", "tts")
    assert (split.part, split.fields["response"]) == (None, "One. Two.")
    assert await queue.commit("tts-1", split, Outcome(parts=("tts", ["One.", "Two."]))) == "committed"
    await synthesize(driver, queue, 2)
    join = await driver.claim("tts-1", "tts")
    assert (join.part, join.input) == ("join", '["0.wav","1.wav"]')
    assert await queue.commit("tts-1", join, Outcome({"audio_path": "whole.wav"})) == "committed"
    job = await queue.job(job_id)
    assert (job.status, job.attempts, set(job.timings.stages)) == ("completed", {"tts": 4}, {"tts"})
    assert None not in (job.timings.first_audio_s, job.timings.total_s, job.timings.stages["tts"].worked_s)
    assert await events(queue, job_id) == ["pending", "processing", "completed"]
    await assert_nothing_left(driver, job_id)


async def test_text_that_could_not_be_split_can_be_retried(driver, queue, send):
    """A job on the route `tts` that failed twice can be retried from its text, without a recording."""
    admin = QueueAdmin(queue)
    job_id = await send(SYNTHESIS_ONLY, response="One.")
    claim = await driver.claim("tts-1", "tts")
    assert await queue.reschedule("tts-1", claim, 0, "engine_failed", crashed=False) == "rescheduled"
    await queue.promote()
    claim = await driver.claim("tts-1", "tts")
    assert claim.attempt == 2
    assert await queue.dead_letter("tts-1", claim, "engine_failed", "It broke.") == "dead_lettered"
    [letter] = await admin.dead_letters()
    assert (letter.task, letter.stage, letter.attempts) == (f"tts:{job_id}", "tts", 2)

    assert await admin.retry_job(job_id, max_live=1000) == "retried"
    split = await driver.claim("tts-1", "tts")
    await queue.commit("tts-1", split, Outcome(parts=("tts", ["One."])))
    part = await driver.claim("tts-1", "tts")
    assert await queue.dead_letter("tts-1", part, "unknown_voice", "No such voice.") == "dead_lettered"
    assert await admin.retry_job(job_id, max_live=1000) == "retried"
    await synthesize(driver, queue, 1)
    join = await driver.claim("tts-1", "tts")
    await queue.commit("tts-1", join, Outcome({"audio_path": "whole.wav"}))
    assert (await queue.job(job_id)).status == "completed"
    await assert_nothing_left(driver, job_id)


@pytest.mark.parametrize("route", ["stt", "llm,tts", "tts"])
async def test_audit_restores_the_first_task_of_any_route(driver, queue, send, route):
    """The audit restores a lost first task on every route."""
    job_id = await send(route, transcript="hello", response="there")
    stage = route[:3]
    driver.redis.delete(KEYS["QUEUE"] + stage)
    assert await queue.audit(older_than_s=0) == [f"{stage}:{job_id}"]
    assert (await driver.claim(f"{stage}-1", stage)).job_id == job_id


async def test_cancelled_text_leaves_nothing(driver, queue, redis, send):
    """Cancelling a job on the route `tts` removes its parts from the list and its text from the hash."""
    job_id = await send(SYNTHESIS_ONLY, response="secret")
    split = await driver.claim("tts-1", "tts")
    await queue.commit("tts-1", split, Outcome(parts=("tts", ["secret", "secret"])))
    assert await queue.cancel(job_id) == "cancelled"
    await assert_nothing_left(driver, job_id)
    assert "secret" not in str(redis.hgetall(KEYS["JOB"] + job_id))
