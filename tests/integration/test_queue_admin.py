"""What whoever runs the system sees, and what can be done about jobs that failed."""

import asyncio

import pytest

from shared.queue.admin import QueueAdmin
from shared.queue.keys import KEYS
from shared.queue.messages import Outcome

pytestmark = pytest.mark.redis


@pytest.fixture
def operations(queue):
    return QueueAdmin(queue)


async def fail_one_segment(driver, queue, segments=2):
    """A job of which the first segment is spoken, the second has failed, and any others wait."""
    job_id = await driver.reach_tts(segments)
    spoken, failing = await driver.claim("tts-1", "tts"), await driver.claim("tts-1", "tts")
    assert await queue.commit("tts-1", spoken, Outcome(part=(0, "0.wav"))) == "committed"
    assert await queue.dead_letter("tts-1", failing, "engine_failed", "It broke.") == "buried"
    return job_id


async def test_a_failed_job_goes_on_from_where_it_failed(driver, queue, operations):
    """What was heard, answered and spoken before is kept; only what is missing is done."""
    job_id = await fail_one_segment(driver, queue, segments=3)
    assert await operations.retry_job(job_id, max_live=1000) == "revived"
    job = await queue.job(job_id)
    assert (job.status, job.stage, job.error, job.response) == ("pending", "tts", None, "there")
    assert driver.everywhere() == [f"tts:{job_id}:1", f"tts:{job_id}:2"]

    for _ in range(2):
        claim = await driver.claim("tts-1", "tts")
        assert (claim.attempt, claim.input) == (1, f"text {claim.part}")
        assert await queue.commit("tts-1", claim, Outcome(part=(int(claim.part), f"{claim.part}.wav"))) == "committed"
    join = await driver.claim("tts-1", "tts")
    assert join.input == '["0.wav","1.wav","2.wav"]'
    assert await queue.commit("tts-1", join, Outcome({"audio_path": "whole.wav"})) == "committed"
    assert (await queue.job(job_id)).status == "completed"
    assert driver.places() == {}


async def test_what_was_in_work_when_its_job_failed_is_not_done_twice(driver, queue, operations):
    """A segment that somebody is still speaking when the job is tried again stays theirs, and counts."""
    job_id = await driver.reach_tts(2)
    failing, working = await driver.claim("tts-1", "tts"), await driver.claim("tts-2", "tts")
    await queue.dead_letter("tts-1", failing, "engine_failed", "It broke.")
    assert await operations.retry_job(job_id, max_live=1000) == "revived"
    assert driver.everywhere() == [f"tts:{job_id}:0", f"tts:{job_id}:1"]
    assert await queue.commit("tts-2", working, Outcome(part=(1, "1.wav"))) == "committed"


async def test_what_ended_after_its_job_failed_is_done_again(driver, queue, operations):
    """Its result came too late to count, so the task has not been lost with it."""
    job_id = await driver.reach_tts(2)
    failing, late = await driver.claim("tts-1", "tts"), await driver.claim("tts-2", "tts")
    await queue.dead_letter("tts-1", failing, "engine_failed", "It broke.")
    assert await queue.commit("tts-2", late, Outcome(part=(1, "1.wav"))) == "over"
    assert await operations.retry_job(job_id, max_live=1000) == "revived"
    assert driver.everywhere() == [f"tts:{job_id}:0", f"tts:{job_id}:1"]


async def test_only_a_failed_job_can_be_tried_again(driver, queue, operations):
    """Anything else is told, and left as it is."""
    job_id = await driver.submit()
    assert await operations.retry_job(job_id, max_live=1000) == "not_failed"
    assert await operations.retry_job("0" * 32, max_live=1000) == "gone"
    claim = await driver.claim("stt-1")
    await queue.dead_letter("stt-1", claim, "no_speech", "Nobody speaks.")
    assert await operations.purge(job_id) == 1
    assert await operations.retry_job(job_id, max_live=1000) == "retry_input_erased"
    assert (await queue.job(job_id)).error.code == "no_speech"


async def test_a_job_is_not_tried_again_where_there_is_no_room(driver, queue, operations):
    """It is one more live job; however many ask at once, the limit holds."""
    jobs = [await fail_one_segment(driver, queue) for _ in range(3)]
    verdicts = await asyncio.gather(*(operations.retry_job(job_id, max_live=2) for job_id in jobs))
    assert sorted(verdicts) == ["full", "revived", "revived"]
    assert (await queue.stats()).live == 2


async def test_a_dead_task_tells_what_happened_to_it(driver, queue, operations):
    """The task, the error, how often it was tried, and what it was given."""
    job_id = await fail_one_segment(driver, queue)
    [letter] = await operations.dead_letters()
    assert (letter.task, letter.job_id, letter.stage) == (f"tts:{job_id}:1", job_id, "tts")
    assert (letter.code, letter.message) == ("engine_failed", "It broke.")
    assert (letter.attempts, letter.input) == (1, "text 1")
    assert letter.failed_at == (await queue.job(job_id)).updated_at.timestamp()


async def test_dead_tasks_are_found_by_their_job_and_the_latest_come_first(driver, queue, operations):
    """Those of other jobs, and older ones past the limit, stay out."""
    first, second = await fail_one_segment(driver, queue), await fail_one_segment(driver, queue)
    assert [letter.job_id for letter in await operations.dead_letters()] == [second, first]
    assert [letter.job_id for letter in await operations.dead_letters(limit=1)] == [second]
    assert [letter.job_id for letter in await operations.dead_letters(first)] == [first]
    assert await operations.dead_letters("0" * 32) == []


async def test_purging_one_job_leaves_the_others(driver, queue, operations):
    """And purging all leaves none."""
    first, second = await fail_one_segment(driver, queue), await fail_one_segment(driver, queue)
    driver.redis.lpush(KEYS["DEAD"], b"\xff\x00junk")
    assert await operations.purge(first) == 1
    assert [letter.job_id for letter in await operations.dead_letters()] == [None, second]
    assert await operations.purge() == 2
    assert driver.redis.keys(KEYS["TASKS"] + "*") == []
    assert driver.redis.exists(KEYS["DEAD"]) == 0


async def test_purging_a_stray_copy_leaves_its_live_job_alone(driver, queue, operations):
    """Somebody has pushed it onto another stage's list, where it was set aside."""
    job_id = await driver.submit()
    driver.redis.lpush(KEYS["QUEUE"] + "llm", f"stt:{job_id}")
    await driver.enlist("llm-1", "llm")
    assert await queue.claim("llm-1", "llm", "t") is None
    assert await operations.purge() == 1
    claim = await driver.claim("stt-1")
    assert await queue.commit("stt-1", claim, Outcome()) == "committed"


async def test_any_bytes_on_the_dead_list_can_be_shown(driver, operations):
    """What is no text is escaped."""
    driver.redis.lpush(KEYS["DEAD"], b"\xff\x00junk", f"stt:{'a' * 32}")
    driver.redis.set(KEYS["JOB"] + "a" * 32, "not a hash")
    orphan, junk = await operations.dead_letters()
    assert (orphan.job_id, orphan.code, orphan.attempts) == ("a" * 32, None, None)
    assert (junk.task, junk.job_id) == ("\\xff\x00junk", None)


async def test_the_overview_shows_who_waits_and_who_works(driver, queue, operations):
    """By stage: the list's depth and age, the tasks in hand, what was done lately, and every worker."""
    for _ in range(3):
        await driver.submit()
    oldest = driver.redis.lindex(KEYS["QUEUE"] + "stt", -2).partition(":")[2]
    await driver.enlist("llm-1", "llm")
    done = await driver.claim("stt-1")
    assert await queue.commit("stt-1", done, Outcome(next=[(f"llm:{done.job_id}", "")])) == "committed"
    driver.redis.hincrby(KEYS["JOB"] + oldest, "queued_at:stt", -5000)
    await driver.claim("stt-1")

    overview = await operations.overview()
    stt, llm = overview.stages["stt"], overview.stages["llm"]
    assert (stt.waiting, stt.working, stt.workers) == (1, 1, 1)
    assert 0 < stt.done_per_min <= 1
    assert (llm.waiting, llm.working, llm.workers, llm.done_per_min) == (1, 0, 1, 0)
    assert (overview.live, overview.delayed, overview.dead) == (3, 0, 0)
    assert [(worker.name, worker.stage, worker.working) for worker in overview.workers] == [
        ("llm-1", "llm", 0),
        ("stt-1", "stt", 1),
    ]


async def test_the_overview_tells_how_long_the_next_task_has_waited(driver, operations):
    """The age is that of whoever is next in turn; there is none where nobody waits, or where a stranger does."""
    first, _ = await driver.submit(), await driver.submit()
    driver.redis.hincrby(KEYS["JOB"] + first, "queued_at:stt", -60_000)
    driver.redis.rpush(KEYS["QUEUE"] + "tts", b"\xff")
    stages = (await operations.overview()).stages
    assert 60 <= stages["stt"].oldest_s < 70
    assert (stages["llm"].oldest_s, stages["tts"].oldest_s) == (None, None)


async def test_counts_of_done_work_do_not_pile_up(driver, queue):
    """The audit drops those of more than an hour ago."""
    await driver.submit()
    claim = await driver.claim("stt-1")
    await queue.commit("stt-1", claim, Outcome())
    driver.redis.hset(KEYS["DONE"], "stt:12345", 7)
    await queue.audit()
    assert len(driver.redis.hkeys(KEYS["DONE"])) == 1


async def test_the_load_counts_what_lives_and_what_ends(driver, queue):
    """What is refused is told when to come back, from these figures."""
    for _ in range(4):
        await driver.submit()
    claim = await driver.claim("stt-1")
    await queue.commit("stt-1", claim, Outcome())
    load = await queue.stats()
    assert (load.live, load.memory_full) == (3, False)
    assert load.ended_per_s == pytest.approx(1 / 60)


async def test_the_load_tells_when_redis_is_nearly_full(driver, queue):
    """Before Redis refuses to write, so that accepted jobs have room to end."""
    used = driver.redis.info("memory")["used_memory"]
    try:
        driver.redis.config_set("maxmemory", used * 2)
        assert not (await queue.stats()).memory_full
        driver.redis.config_set("maxmemory", round(used * 1.1))
        assert (await queue.stats()).memory_full
    finally:
        driver.redis.config_set("maxmemory", 0)
