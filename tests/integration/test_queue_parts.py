"""Answers synthesized while they are written: steps, parts, their join, and discarded generations."""

from dataclasses import replace

import pytest
from redis import Redis

from shared.errors import QueueUnavailable
from shared.queue.admin import QueueAdmin
from shared.queue.events import SegmentEvent, TextEvent
from shared.queue.keys import KEYS
from shared.queue.messages import Outcome
from shared.queue.stages import task_name

pytestmark = pytest.mark.redis


def step(number: int, *texts: str) -> Outcome:
    """Return a step of the LLM stage: the answer's text so far, and new parts for the TTS stage."""
    return Outcome({"response": f"text {number}"}, parts=("tts", texts), events=[TextEvent("x")], steps=number)


async def answer_events(queue, job_id):
    """Return the names of the job's events, without those that every job has."""
    names = [event["event"] for event in await queue.events(job_id)]
    return [name for name in names if name not in ("pending", "processing", "stage_done")]


async def synthesize(driver, queue, worker="tts-1"):
    """Commit the next part and return its number."""
    claim = await driver.claim(worker, "tts")
    outcome = Outcome(part=(int(claim.part), claim.input), events=[SegmentEvent(int(claim.part), 1.0, claim.input)])
    assert await queue.commit(worker, claim, outcome) == "committed"
    return int(claim.part)


async def test_answer_is_synthesized_while_it_is_written(driver, queue):
    """Each step's parts can be claimed at once; their join is pushed when the answer is whole and all are done."""
    job_id, claim = await driver.reach_llm()
    assert await queue.commit_partial("llm-1", claim, step(0, "a", "b")) == "recorded"
    assert [await synthesize(driver, queue) for _ in range(2)] == [0, 1]
    assert driver.placed_tasks() == [claim.task], "more may come"
    job = await queue.job(job_id)
    assert (job.status, job.response) == ("processing", "text 0")
    assert await queue.commit_partial("llm-1", claim, step(1, "c")) == "recorded"
    assert await queue.commit("llm-1", claim, step(2, "d")) == "committed"
    assert [await synthesize(driver, queue) for _ in range(2)] == [2, 3]
    join = await driver.claim("tts-1", "tts")
    assert (join.part, join.input) == ("join", '["a","b","c","d"]')
    assert await queue.commit("tts-1", join, Outcome()) == "committed"
    assert (await queue.job(job_id)).response == "text 2"
    assert await answer_events(queue, job_id) == [
        *("text", "segment", "segment", "text", "text", "segment", "segment", "completed")
    ]
    assert driver.redis.exists(KEYS["TASKS"] + job_id) == 0


async def test_commit_without_parts_joins_an_answer_whose_parts_are_done(driver, queue):
    """The LLM commit pushes the join at once where it brings no part and all earlier ones are done."""
    job_id, claim = await driver.reach_llm()
    await queue.commit_partial("llm-1", claim, step(0, "a"))
    await synthesize(driver, queue)
    assert await queue.commit("llm-1", claim, step(1)) == "committed"
    assert driver.placed_tasks() == [task_name("tts", job_id, "join")]


async def test_repeated_step_counts_once(driver, queue):
    """A step that is repeated because its reply was lost counts once, also after the next step."""
    job_id, claim = await driver.reach_llm()
    for number in (0, 0, 1, 0, 1):
        assert await queue.commit_partial("llm-1", claim, step(number, "a")) == "recorded"
    assert driver.placed_tasks() == [claim.task, task_name("tts", job_id, 0), task_name("tts", job_id, 1)]
    assert await answer_events(queue, job_id) == ["text", "text"]


async def test_attempt_of_which_redis_lost_a_step_cannot_continue(driver, queue, shared_redis):
    """An attempt is stale once Redis has lost one of its steps with its last second, and the answer is restarted."""
    job_id, claim = await driver.reach_llm()
    await queue.commit_partial("llm-1", claim, step(0, "a"))
    with Redis.from_url(shared_redis.url) as raw:  # bytes: a dump is no text
        before = {key: raw.dump(key) for key in raw.scan_iter("*")}
        assert await queue.commit_partial("llm-1", claim, step(1, "b")) == "recorded"
        raw.flushall()
        for key, value in before.items():
            raw.restore(key, 0, value)
    assert await queue.commit_partial("llm-1", claim, step(2, "c")) == "stale"
    assert await queue.commit("llm-1", claim, step(2, "c")) == "stale"
    assert await queue.held("llm-1") == [claim.task], "its worker finds it there, and starts another attempt"
    assert await queue.begin("llm-1", "llm", "next", claim.task) is not None
    assert await answer_events(queue, job_id) == ["text", "restarted"]


async def test_commit_must_count_the_recorded_steps(driver, queue):
    """A commit that counts fewer steps than were recorded is stale: the answer would lack some of its parts."""
    _, claim = await driver.reach_llm()
    await queue.commit_partial("llm-1", claim, step(0, "a"))
    assert await queue.commit("llm-1", claim, step(0, "b")) == "stale"
    assert await queue.commit("llm-1", claim, step(1, "b")) == "committed"


@pytest.mark.parametrize("end", ["killed", "released", "rescheduled"])
async def test_next_attempt_discards_the_parts_of_the_last_one(driver, queue, end):
    """The next attempt removes the last one's parts from every place: waiting, held, claimed, delayed and done ones.
    New parts have new numbers, and the event `restarted` says which ones subscribers must discard."""
    job_id, claim = await driver.reach_llm()
    await queue.reclaim()
    await queue.commit_partial("llm-1", claim, step(0, "done", "delayed", "claimed", "held", "waiting"))
    await synthesize(driver, queue)
    delayed = await driver.claim("tts-1", "tts")
    await queue.reschedule("tts-1", delayed, 60, "engine_failed", crashed=False)
    claimed = await driver.claim("tts-1", "tts")
    held = driver.hold("tts-2", "tts")

    if end == "killed":
        driver.expire_lease("llm-1")
        assert await queue.reclaim() == [claim.task]
    elif end == "released":
        assert await queue.release("llm-1", claim) == "released"
    else:
        assert await queue.reschedule("llm-1", claim, 0, "model_unavailable", crashed=False) == "rescheduled"
        assert driver.placed_tasks() == [claim.task, held], "no part is synthesized that the next attempt would discard"
        await queue.promote()
    second = await driver.claim("llm-2", "llm")
    assert driver.placed_tasks() == [claim.task, held]
    assert await queue.begin("tts-2", "tts", "t", held) is None
    assert await queue.commit("tts-1", claimed, Outcome(part=(2, "late"))) == "stale"
    assert await queue.commit_partial("llm-1", claim, step(1, "late")) == "stale"
    job = await queue.job(job_id)
    assert (job.response, job.timings.first_audio_s) == (None, None)

    await queue.commit_partial("llm-2", second, step(0, "new"))
    assert await queue.commit("llm-2", second, step(1, "newer")) == "committed"
    assert [await synthesize(driver, queue) for _ in range(2)] == [5, 6]
    join = await driver.claim("tts-1", "tts")
    assert join.input == '["new","newer"]'
    assert await queue.commit("tts-1", join, Outcome()) == "committed"
    events = await queue.events(job_id)
    assert [event["first"] for event in events if event["event"] == "restarted"] == [5]
    assert [event["index"] for event in events if event["event"] == "segment"] == [0, 5, 6]
    assert driver.places() == {}


async def test_next_attempt_discards_the_text_of_a_written_answer(driver, queue):
    """An answer without speech is restarted like any other: it has steps, and no parts."""
    job_id, claim = await driver.reach_llm(route="stt,llm")
    await queue.commit_partial("llm-1", claim, replace(step(0), parts=None))
    await queue.release("llm-1", claim)
    second = await driver.claim("llm-1", "llm")
    assert await queue.commit("llm-1", second, replace(step(0), parts=None)) == "committed"
    assert await answer_events(queue, job_id) == ["text", "restarted", "text", "completed"]


async def test_attempt_without_steps_publishes_no_restart(driver, queue):
    """The attempt after one that recorded no step publishes no `restarted`."""
    job_id, claim = await driver.reach_llm()
    await queue.release("llm-1", claim)
    await driver.claim("llm-1", "llm")
    assert await answer_events(queue, job_id) == []


async def test_job_whose_id_is_all_digits_is_restarted_like_any(driver, queue):
    """The LLM task of a job whose id consists of digits is not mistaken for one of its parts."""
    _, claim = await driver.reach_llm(job_id="1" * 32)
    for _ in range(3):
        await queue.commit_partial("llm-1", claim, step(0, "a"))
        await queue.release("llm-1", claim)
        claim = await driver.claim("llm-1", "llm")
        assert driver.placed_tasks() == driver.open_tasks() == [claim.task]
    assert await queue.commit("llm-1", claim, step(0, "b")) == "committed"


async def test_no_step_of_an_ended_job_is_recorded(driver, queue):
    """A step records nothing once a part of its job has failed, or the job was cancelled."""
    job_id, claim = await driver.reach_llm()
    await queue.commit_partial("llm-1", claim, step(0, "a"))
    part = await driver.claim("tts-1", "tts")
    await queue.dead_letter("tts-1", part, "unknown_voice", "No such voice.")
    assert await queue.commit_partial("llm-1", claim, step(1, "b")) == "job_ended"
    assert await queue.commit("llm-1", claim, step(1, "b")) == "job_ended"
    assert (await answer_events(queue, job_id))[-1] == "failed"
    assert (await queue.job(job_id)).response == "text 0"

    cancelled, claim = await driver.reach_llm()
    await queue.commit_partial("llm-1", claim, step(0, "a"))
    await queue.cancel(cancelled)
    assert await queue.commit_partial("llm-1", claim, step(1, "b")) == "stale"
    assert driver.placed_tasks() == [part.task]
    assert await answer_events(queue, cancelled) == ["cancelled"]


async def test_retry_restarts_an_answer_that_was_not_whole(driver, queue):
    """Retrying a job whose answer was not whole discards all its parts, the failed one too, and restarts the answer."""
    job_id, claim = await driver.reach_llm()
    await queue.commit_partial("llm-1", claim, step(0, "a", "b", "c"))
    await synthesize(driver, queue)
    failing = await driver.claim("tts-1", "tts")
    await queue.dead_letter("tts-1", failing, "engine_failed", "It broke.")
    await queue.release("llm-1", claim)
    assert await QueueAdmin(queue).retry_job(job_id, max_live=9) == "retried"
    assert driver.placed_tasks() == [claim.task]
    assert (await answer_events(queue, job_id))[-2:] == ["revived", "restarted"]
    second = await driver.claim("llm-1", "llm")
    assert await queue.commit("llm-1", second, step(0, "d")) == "committed"
    assert await synthesize(driver, queue) == 3
    assert driver.placed_tasks() == [task_name("tts", job_id, "join")]


async def test_retry_lets_an_answer_that_is_being_written_continue(driver, queue):
    """Retrying a job of which a part had failed lets the LLM attempt that still runs continue and commit."""
    job_id, claim = await driver.reach_llm()
    await queue.commit_partial("llm-1", claim, step(0, "a"))
    failing = await driver.claim("tts-1", "tts")
    await queue.dead_letter("tts-1", failing, "engine_failed", "It broke.")
    assert await QueueAdmin(queue).retry_job(job_id, max_live=9) == "retried"
    assert await queue.commit_partial("llm-1", claim, step(1, "b")) == "recorded"
    assert await queue.commit("llm-1", claim, step(2)) == "committed"
    assert [await synthesize(driver, queue) for _ in range(2)] == [0, 1]
    assert driver.placed_tasks() == [task_name("tts", job_id, "join")]
    assert "restarted" not in await answer_events(queue, job_id)


async def test_first_parts_come_before_later_ones_in_their_own_order(driver, queue):
    """The first parts of all answers are claimed before later parts, in the order in which they were pushed."""
    jobs = []
    for _ in range(3):
        job_id, claim = await driver.reach_llm()
        jobs.append(job_id)
        assert await queue.commit("llm-1", claim, step(0, "first", "second")) == "committed"
    claims = [await driver.claim("tts-1", "tts") for _ in range(6)]
    expected = [task_name("tts", job_id, part) for part in (0, 1) for job_id in jobs]
    assert [claim.task for claim in claims] == expected


async def test_join_comes_before_the_later_parts_of_other_jobs(driver, queue):
    """A join is claimed before other jobs' later parts, and after the first parts that were pushed before it."""
    job_id = await driver.reach_tts(1)
    part = await driver.claim("tts-1", "tts")
    other = await driver.reach_tts(2)
    assert await queue.commit("tts-1", part, Outcome(part=(0, "a"))) == "committed"
    claims = [await driver.claim("tts-1", "tts") for _ in range(3)]
    expected = [task_name("tts", other, 0), task_name("tts", job_id, "join"), task_name("tts", other, 1)]
    assert [claim.task for claim in claims] == expected


async def test_first_audio_is_the_time_of_the_first_part(driver, queue):
    """A later part that is done before the first one does not count as first audio: it cannot be played yet."""
    job_id, claim = await driver.reach_llm()
    await queue.commit_partial("llm-1", claim, step(0, "a", "b"))
    first, second = await driver.claim("tts-1", "tts"), await driver.claim("tts-2", "tts")
    await queue.commit("tts-2", second, Outcome(part=(1, "b")))
    assert (await queue.job(job_id)).timings.first_audio_s is None
    await queue.commit("tts-1", first, Outcome(part=(0, "a")))
    assert (await queue.job(job_id)).timings.first_audio_s is not None


async def test_late_subscriber_receives_every_event_of_a_long_answer(driver, queue):
    """All 3,000 events of an answer are kept, and its 10,500 parts keep their numbers."""
    job_id, claim = await driver.reach_llm()
    for number in range(50):
        await queue.commit_partial("llm-1", claim, step(number, *["x"] * 210))
    for number in range(50, 3000):
        await queue.commit_partial("llm-1", claim, step(number))
    assert (await answer_events(queue, job_id)).count("text") == 3000
    assert driver.redis.llen(KEYS["QUEUE"] + "tts") == 10_500
    assert driver.redis.lindex(KEYS["QUEUE"] + "tts", 0) == task_name("tts", job_id, 10_499)


async def test_join_of_no_parts_has_an_empty_list_as_input(driver, queue):
    """The join of an answer without parts has `[]` as input, not `{}`, which Lua does not distinguish from it."""
    _, claim = await driver.reach_llm()
    assert await queue.commit("llm-1", claim, step(0)) == "committed"
    assert (await driver.claim("tts-1", "tts")).input == "[]"


async def test_step_that_redis_refuses_changes_nothing(driver, queue):
    """A step that a full Redis refuses leaves no trace, and can be repeated when there is room."""
    job_id, claim = await driver.reach_llm()
    driver.redis.config_set("maxmemory", "1")
    try:
        with pytest.raises(QueueUnavailable):
            await queue.commit_partial("llm-1", claim, step(0, "a"))
    finally:
        driver.redis.config_set("maxmemory", "0")
    assert driver.placed_tasks() == [claim.task]
    assert await answer_events(queue, job_id) == []
    assert await queue.commit_partial("llm-1", claim, step(0, "a")) == "recorded"
