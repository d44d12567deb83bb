"""An answer that is spoken while it is being written: steps, parts, their join, and what is taken back."""

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
    """What the language model's stage records: what it has written so far, and what of it is to be spoken."""
    return Outcome({"response": f"text {number}"}, parts=("tts", texts), events=[TextEvent("x")], steps=number)


async def told(queue, job_id):
    """What happened, without what every job goes through."""
    names = [event["event"] for event in await queue.events(job_id)]
    return [name for name in names if name not in ("pending", "processing", "stage_done")]


async def speak(driver, queue, worker="tts-1"):
    """Do the next part; its number."""
    claim = await driver.claim(worker, "tts")
    outcome = Outcome(part=(int(claim.part), claim.input), events=[SegmentEvent(int(claim.part), 1.0, claim.input)])
    assert await queue.commit(worker, claim, outcome) == "committed"
    return int(claim.part)


async def test_an_answer_is_spoken_while_it_is_being_written(driver, queue):
    """Each step's parts can be worked on at once; when all are done, and not before, their join follows."""
    job_id, claim = await driver.reach_llm()
    assert await queue.commit_partial("llm-1", claim, step(0, "a", "b")) == "extended"
    assert [await speak(driver, queue) for _ in range(2)] == [0, 1]
    assert driver.everywhere() == [claim.task], "more may come"
    job = await queue.job(job_id)
    assert (job.status, job.response) == ("processing", "text 0")
    assert await queue.commit_partial("llm-1", claim, step(1, "c")) == "extended"
    assert await queue.commit("llm-1", claim, step(2, "d")) == "committed"
    assert [await speak(driver, queue) for _ in range(2)] == [2, 3]
    join = await driver.claim("tts-1", "tts")
    assert (join.part, join.input) == ("join", '["a","b","c","d"]')
    assert await queue.commit("tts-1", join, Outcome()) == "committed"
    assert (await queue.job(job_id)).response == "text 2"
    assert await told(queue, job_id) == [
        *("text", "segment", "segment", "text", "text", "segment", "segment", "completed")
    ]
    assert driver.redis.exists(KEYS["TASKS"] + job_id) == 0


async def test_an_answer_that_was_spoken_before_its_end_came_is_joined_at_its_end(driver, queue):
    """The last step may bring nothing to say."""
    job_id, claim = await driver.reach_llm()
    await queue.commit_partial("llm-1", claim, step(0, "a"))
    await speak(driver, queue)
    assert await queue.commit("llm-1", claim, step(1)) == "committed"
    assert driver.everywhere() == [task_name("tts", job_id, "join")]


async def test_a_step_that_is_said_twice_counts_once(driver, queue):
    """Its reply was lost, and a late copy of it may arrive after the next one."""
    job_id, claim = await driver.reach_llm()
    for number in (0, 0, 1, 0, 1):
        assert await queue.commit_partial("llm-1", claim, step(number, "a")) == "extended"
    assert driver.everywhere() == [claim.task, task_name("tts", job_id, 0), task_name("tts", job_id, 1)]
    assert await told(queue, job_id) == ["text", "text"]


async def test_an_attempt_of_which_a_step_was_lost_cannot_go_on(driver, queue, shared_redis):
    """Redis has lost its last second, and with it a sentence that nobody would miss: the answer is made anew."""
    job_id, claim = await driver.reach_llm()
    await queue.commit_partial("llm-1", claim, step(0, "a"))
    with Redis.from_url(shared_redis.url) as raw:  # bytes: a dump is no text
        before = {key: raw.dump(key) for key in raw.scan_iter("*")}
        assert await queue.commit_partial("llm-1", claim, step(1, "b")) == "extended"
        raw.flushall()
        for key, value in before.items():
            raw.restore(key, 0, value)
    assert await queue.commit_partial("llm-1", claim, step(2, "c")) == "stale"
    assert await queue.commit("llm-1", claim, step(2, "c")) == "stale"
    assert await queue.held("llm-1") == [claim.task], "its worker will find it, and begin anew"
    assert await queue.begin("llm-1", "llm", "anew", claim.task) is not None
    assert await told(queue, job_id) == ["text", "restarted"]


async def test_an_attempt_cannot_be_committed_without_its_steps(driver, queue):
    """Nor with more than it has recorded: the answer would lack some of its parts."""
    _, claim = await driver.reach_llm()
    await queue.commit_partial("llm-1", claim, step(0, "a"))
    assert await queue.commit("llm-1", claim, step(0, "b")) == "stale"
    assert await queue.commit("llm-1", claim, step(1, "b")) == "committed"


@pytest.mark.parametrize("end", ["killed", "released", "retried"])
async def test_the_next_attempt_takes_back_what_the_last_one_had_made(driver, queue, end):
    """Out of every place: parts that wait, that are spoken, that are put off, and that are done. New ones get new
    numbers, and whoever follows the job is told what to forget."""
    job_id, claim = await driver.reach_llm()
    await queue.reclaim()
    await queue.commit_partial("llm-1", claim, step(0, "done", "delayed", "begun", "held", "waits"))
    await speak(driver, queue)
    delayed = await driver.claim("tts-1", "tts")
    await queue.reschedule("tts-1", delayed, 60, "engine_failed", crashed=False)
    begun = await driver.claim("tts-1", "tts")
    held = driver.hold("tts-2", "tts")

    if end == "killed":
        driver.let_die("llm-1")
        assert await queue.reclaim() == [claim.task]
    elif end == "released":
        assert await queue.release("llm-1", claim) == "released"
    else:
        assert await queue.reschedule("llm-1", claim, 0, "model_unavailable", crashed=False) == "delayed"
        assert driver.everywhere() == [claim.task, held], "nobody speaks meanwhile what would be taken back"
        await queue.promote()
    again = await driver.claim("llm-2", "llm")
    assert driver.everywhere() == [claim.task, held]
    assert await queue.begin("tts-2", "tts", "t", held) is None
    assert await queue.commit("tts-1", begun, Outcome(part=(2, "late"))) == "stale"
    assert await queue.commit_partial("llm-1", claim, step(1, "late")) == "stale"
    job = await queue.job(job_id)
    assert (job.response, job.timings.first_audio_s) == (None, None)

    await queue.commit_partial("llm-2", again, step(0, "new"))
    assert await queue.commit("llm-2", again, step(1, "newer")) == "committed"
    assert [await speak(driver, queue) for _ in range(2)] == [5, 6]
    join = await driver.claim("tts-1", "tts")
    assert join.input == '["new","newer"]'
    assert await queue.commit("tts-1", join, Outcome()) == "committed"
    events = await queue.events(job_id)
    assert [event["first"] for event in events if event["event"] == "restarted"] == [5]
    assert [event["index"] for event in events if event["event"] == "segment"] == [0, 5, 6]
    assert driver.places() == {}


async def test_a_text_that_nobody_speaks_is_taken_back_as_well(driver, queue):
    """A route without speech has steps, and no parts."""
    job_id, claim = await driver.reach_llm(route="stt,llm")
    await queue.commit_partial("llm-1", claim, replace(step(0), parts=None))
    await queue.release("llm-1", claim)
    again = await driver.claim("llm-1", "llm")
    assert await queue.commit("llm-1", again, replace(step(0), parts=None)) == "committed"
    assert await told(queue, job_id) == ["text", "restarted", "text", "completed"]


async def test_an_attempt_that_had_recorded_nothing_has_nothing_taken_back(driver, queue):
    """Whoever listens is not told to forget what never was."""
    job_id, claim = await driver.reach_llm()
    await queue.release("llm-1", claim)
    await driver.claim("llm-1", "llm")
    assert await told(queue, job_id) == []


async def test_a_job_whose_id_looks_like_a_number_is_made_anew_like_any(driver, queue):
    """Its language model's task is not taken for one of its parts."""
    _, claim = await driver.reach_llm(job_id="1" * 32)
    for _ in range(3):
        await queue.commit_partial("llm-1", claim, step(0, "a"))
        await queue.release("llm-1", claim)
        claim = await driver.claim("llm-1", "llm")
        assert driver.everywhere() == driver.open_tasks() == [claim.task]
    assert await queue.commit("llm-1", claim, step(0, "b")) == "committed"


async def test_nothing_is_recorded_of_a_job_that_has_ended(driver, queue):
    """A part of it has failed while the answer was still being written, or somebody has cancelled it."""
    job_id, claim = await driver.reach_llm()
    await queue.commit_partial("llm-1", claim, step(0, "a"))
    part = await driver.claim("tts-1", "tts")
    await queue.dead_letter("tts-1", part, "unknown_voice", "No such voice.")
    assert await queue.commit_partial("llm-1", claim, step(1, "b")) == "over"
    assert await queue.commit("llm-1", claim, step(1, "b")) == "over"
    assert (await told(queue, job_id))[-1] == "failed"
    assert (await queue.job(job_id)).response == "text 0"

    cancelled, claim = await driver.reach_llm()
    await queue.commit_partial("llm-1", claim, step(0, "a"))
    await queue.cancel(cancelled)
    assert await queue.commit_partial("llm-1", claim, step(1, "b")) == "stale"
    assert driver.everywhere() == [part.task]
    assert await told(queue, cancelled) == ["cancelled"]


async def test_a_failed_job_that_is_tried_again_makes_half_an_answer_anew(driver, queue):
    """Nobody speaks the old half in vain meanwhile, and the part that had failed is gone with it."""
    job_id, claim = await driver.reach_llm()
    await queue.commit_partial("llm-1", claim, step(0, "a", "b", "c"))
    await speak(driver, queue)
    failing = await driver.claim("tts-1", "tts")
    await queue.dead_letter("tts-1", failing, "engine_failed", "It broke.")
    await queue.release("llm-1", claim)
    assert await QueueAdmin(queue).retry_job(job_id, max_live=9) == "revived"
    assert driver.everywhere() == [claim.task]
    assert (await told(queue, job_id))[-2:] == ["revived", "restarted"]
    again = await driver.claim("llm-1", "llm")
    assert await queue.commit("llm-1", again, step(0, "d")) == "committed"
    assert await speak(driver, queue) == 3
    assert driver.everywhere() == [task_name("tts", job_id, "join")]


async def test_an_answer_that_is_still_being_written_when_its_job_is_tried_again_goes_on(driver, queue):
    """It was a part that had failed; whoever writes the answer may never have heard of it."""
    job_id, claim = await driver.reach_llm()
    await queue.commit_partial("llm-1", claim, step(0, "a"))
    failing = await driver.claim("tts-1", "tts")
    await queue.dead_letter("tts-1", failing, "engine_failed", "It broke.")
    assert await QueueAdmin(queue).retry_job(job_id, max_live=9) == "revived"
    assert await queue.commit_partial("llm-1", claim, step(1, "b")) == "extended"
    assert await queue.commit("llm-1", claim, step(2)) == "committed"
    assert [await speak(driver, queue) for _ in range(2)] == [0, 1]
    assert driver.everywhere() == [task_name("tts", job_id, "join")]
    assert "restarted" not in await told(queue, job_id)


async def test_first_parts_go_ahead_in_the_order_in_which_they_came(driver, queue):
    """Somebody waits for each of them; later parts have a listener already, and the last to come is not the first."""
    jobs = []
    for _ in range(3):
        job_id, claim = await driver.reach_llm()
        jobs.append(job_id)
        assert await queue.commit("llm-1", claim, step(0, "first", "second")) == "committed"
    claims = [await driver.claim("tts-1", "tts") for _ in range(6)]
    expected = [task_name("tts", job_id, part) for part in (0, 1) for job_id in jobs]
    assert [claim.task for claim in claims] == expected


async def test_a_join_does_not_wait_behind_the_parts_of_others(driver, queue):
    """Its own have waited their turn; first parts that came before it still go first."""
    job_id = await driver.reach_tts(1)
    part = await driver.claim("tts-1", "tts")
    other = await driver.reach_tts(2)
    assert await queue.commit("tts-1", part, Outcome(part=(0, "a"))) == "committed"
    claims = [await driver.claim("tts-1", "tts") for _ in range(3)]
    expected = [task_name("tts", other, 0), task_name("tts", job_id, "join"), task_name("tts", other, 1)]
    assert [claim.task for claim in claims] == expected


async def test_the_first_audio_is_the_first_part(driver, queue):
    """Another may be done sooner, and cannot be heard yet."""
    job_id, claim = await driver.reach_llm()
    await queue.commit_partial("llm-1", claim, step(0, "a", "b"))
    first, second = await driver.claim("tts-1", "tts"), await driver.claim("tts-2", "tts")
    await queue.commit("tts-2", second, Outcome(part=(1, "b")))
    assert (await queue.job(job_id)).timings.first_audio_s is None
    await queue.commit("tts-1", first, Outcome(part=(0, "a")))
    assert (await queue.job(job_id)).timings.first_audio_s is not None


async def test_whoever_comes_late_misses_nothing_of_a_long_answer(driver, queue):
    """Events are kept, however many; and so are the numbers of parts, however high."""
    job_id, claim = await driver.reach_llm()
    for number in range(50):
        await queue.commit_partial("llm-1", claim, step(number, *["x"] * 210))
    for number in range(50, 3000):
        await queue.commit_partial("llm-1", claim, step(number))
    assert (await told(queue, job_id)).count("text") == 3000
    assert driver.redis.llen(KEYS["QUEUE"] + "tts") == 10_500
    assert driver.redis.lindex(KEYS["QUEUE"] + "tts", 0) == task_name("tts", job_id, 10_499)


async def test_a_whole_without_parts_is_joined_as_an_empty_list(driver, queue):
    """Not as an empty object, which Lua cannot tell from it."""
    _, claim = await driver.reach_llm()
    assert await queue.commit("llm-1", claim, step(0)) == "committed"
    assert (await driver.claim("tts-1", "tts")).input == "[]"


async def test_a_step_is_recorded_whole_or_not_at_all_where_redis_refuses(driver, queue):
    """It is full: the step can be said again when there is room."""
    job_id, claim = await driver.reach_llm()
    driver.redis.config_set("maxmemory", "1")
    try:
        with pytest.raises(QueueUnavailable):
            await queue.commit_partial("llm-1", claim, step(0, "a"))
    finally:
        driver.redis.config_set("maxmemory", "0")
    assert driver.everywhere() == [claim.task]
    assert await told(queue, job_id) == []
    assert await queue.commit_partial("llm-1", claim, step(0, "a")) == "extended"
