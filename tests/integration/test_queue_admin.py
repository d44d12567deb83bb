"""The operator's view of the queues, and retrying or purging failed jobs."""

import asyncio

import pytest

from shared.queue.admin import QueueAdmin
from shared.queue.keys import KEYS
from shared.queue.messages import Outcome

pytestmark = pytest.mark.redis


@pytest.fixture
def admin(queue):
    return QueueAdmin(queue)


async def fail_one_segment(driver, queue, segments=2):
    """Bring a job to the point where its first segment is done, its second has failed, and the others wait."""
    job_id = await driver.reach_tts(segments)
    first, failing = await driver.claim("tts-1", "tts"), await driver.claim("tts-1", "tts")
    assert await queue.commit("tts-1", first, Outcome(part=(0, "0.wav"))) == "committed"
    assert await queue.dead_letter("tts-1", failing, "engine_failed", "It broke.") == "dead_lettered"
    return job_id


async def test_retried_job_continues_where_it_failed(driver, queue, admin):
    """A retried job keeps its transcript, answer and finished segments, and only the missing segments are done."""
    job_id = await fail_one_segment(driver, queue, segments=3)
    assert await admin.retry_job(job_id, max_live=1000) == "retried"
    job = await queue.job(job_id)
    assert (job.status, job.stage, job.error, job.response) == ("pending", "tts", None, "there")
    assert driver.placed_tasks() == [f"tts:{job_id}:1", f"tts:{job_id}:2"]

    for _ in range(2):
        claim = await driver.claim("tts-1", "tts")
        assert (claim.attempt, claim.input) == (1, f"text {claim.part}")
        assert await queue.commit("tts-1", claim, Outcome(part=(int(claim.part), f"{claim.part}.wav"))) == "committed"
    join = await driver.claim("tts-1", "tts")
    assert join.input == '["0.wav","1.wav","2.wav"]'
    assert await queue.commit("tts-1", join, Outcome({"audio_path": "whole.wav"})) == "committed"
    assert (await queue.job(job_id)).status == "completed"
    assert driver.places() == {}


async def test_task_that_runs_while_its_job_is_retried_is_not_pushed_again(driver, queue, admin):
    """A segment that another worker still synthesizes when the job is retried stays with it, and its commit counts."""
    job_id = await driver.reach_tts(2)
    failing, working = await driver.claim("tts-1", "tts"), await driver.claim("tts-2", "tts")
    await queue.dead_letter("tts-1", failing, "engine_failed", "It broke.")
    assert await admin.retry_job(job_id, max_live=1000) == "retried"
    assert driver.placed_tasks() == [f"tts:{job_id}:0", f"tts:{job_id}:1"]
    assert await queue.commit("tts-2", working, Outcome(part=(1, "1.wav"))) == "committed"


async def test_task_that_ended_after_its_job_failed_is_pushed_by_a_retry(driver, queue, admin):
    """A segment whose commit came after the job's failure is pushed again when the job is retried."""
    job_id = await driver.reach_tts(2)
    failing, late = await driver.claim("tts-1", "tts"), await driver.claim("tts-2", "tts")
    await queue.dead_letter("tts-1", failing, "engine_failed", "It broke.")
    assert await queue.commit("tts-2", late, Outcome(part=(1, "1.wav"))) == "job_ended"
    assert await admin.retry_job(job_id, max_live=1000) == "retried"
    assert driver.placed_tasks() == [f"tts:{job_id}:0", f"tts:{job_id}:1"]


async def test_only_a_failed_job_with_input_can_be_retried(driver, queue, admin):
    """A retry of a live, an unknown or a purged job is refused with its reason, and the job stays as it is."""
    job_id = await driver.submit()
    assert await admin.retry_job(job_id, max_live=1000) == "not_failed"
    assert await admin.retry_job("0" * 32, max_live=1000) == "gone"
    claim = await driver.claim("stt-1")
    await queue.dead_letter("stt-1", claim, "no_speech", "No speech.")
    assert await admin.purge(job_id) == 1
    assert await admin.retry_job(job_id, max_live=1000) == "retry_input_erased"
    assert (await queue.job(job_id)).error.code == "no_speech"


async def test_retries_do_not_exceed_the_limit_of_live_jobs(driver, queue, admin):
    """Of three concurrent retries at a limit of two live jobs, one is refused."""
    jobs = [await fail_one_segment(driver, queue) for _ in range(3)]
    verdicts = await asyncio.gather(*(admin.retry_job(job_id, max_live=2) for job_id in jobs))
    assert sorted(verdicts) == ["full", "retried", "retried"]
    assert (await queue.stats()).live == 2


async def test_dead_letter_shows_its_error_attempts_and_input(driver, queue, admin):
    """A dead letter shows its task, its job's error, the attempts, the input and the time of the failure."""
    job_id = await fail_one_segment(driver, queue)
    [letter] = await admin.dead_letters()
    assert (letter.task, letter.job_id, letter.stage) == (f"tts:{job_id}:1", job_id, "tts")
    assert (letter.code, letter.message) == ("engine_failed", "It broke.")
    assert (letter.attempts, letter.input) == (1, "text 1")
    assert letter.failed_at == (await queue.job(job_id)).updated_at.timestamp()


async def test_dead_letters_are_listed_latest_first_and_by_job(driver, queue, admin):
    """Dead letters are listed latest first, up to the limit, and only a named job's if one is named."""
    first, second = await fail_one_segment(driver, queue), await fail_one_segment(driver, queue)
    assert [letter.job_id for letter in await admin.dead_letters()] == [second, first]
    assert [letter.job_id for letter in await admin.dead_letters(limit=1)] == [second]
    assert [letter.job_id for letter in await admin.dead_letters(first)] == [first]
    assert await admin.dead_letters("0" * 32) == []


async def test_purge_of_one_job_leaves_the_others(driver, queue, admin):
    """A purge of one job leaves the other dead letters, and a purge of all leaves none."""
    first, second = await fail_one_segment(driver, queue), await fail_one_segment(driver, queue)
    driver.redis.lpush(KEYS["DEAD"], b"\xff\x00junk")
    assert await admin.purge(first) == 1
    assert [letter.job_id for letter in await admin.dead_letters()] == [None, second]
    assert await admin.purge() == 2
    assert driver.redis.keys(KEYS["TASKS"] + "*") == []
    assert driver.redis.exists(KEYS["DEAD"]) == 0


async def test_purge_of_a_stray_copy_does_not_touch_its_live_job(driver, queue, admin):
    """A task that was pushed to another stage's list by mistake and purged there still runs in its own stage."""
    job_id = await driver.submit()
    driver.redis.lpush(KEYS["QUEUE"] + "llm", f"stt:{job_id}")
    await driver.enlist("llm-1", "llm")
    assert await queue.claim("llm-1", "llm", "t") is None
    assert await admin.purge() == 1
    claim = await driver.claim("stt-1")
    assert await queue.commit("stt-1", claim, Outcome()) == "committed"


async def test_any_bytes_on_the_dead_list_can_be_shown(driver, admin):
    """Bytes on the dead list that are no UTF-8 are shown escaped."""
    driver.redis.lpush(KEYS["DEAD"], b"\xff\x00junk", f"stt:{'a' * 32}")
    driver.redis.set(KEYS["JOB"] + "a" * 32, "not a hash")
    orphan, junk = await admin.dead_letters()
    assert (orphan.job_id, orphan.code, orphan.attempts) == ("a" * 32, None, None)
    assert (junk.task, junk.job_id) == ("\\xff\x00junk", None)


async def test_overview_shows_stages_and_workers(driver, queue, admin):
    """The overview shows each stage's waiting and active tasks, its rate, and every worker with its active tasks."""
    for _ in range(3):
        await driver.submit()
    oldest = driver.redis.lindex(KEYS["QUEUE"] + "stt", -2).partition(":")[2]
    await driver.enlist("llm-1", "llm")
    done = await driver.claim("stt-1")
    assert await queue.commit("stt-1", done, Outcome(next=[(f"llm:{done.job_id}", "")])) == "committed"
    driver.redis.hincrby(KEYS["JOB"] + oldest, "queued_at:stt", -5000)
    await driver.claim("stt-1")

    overview = await admin.overview()
    stt, llm = overview.stages["stt"], overview.stages["llm"]
    assert (stt.waiting, stt.working, stt.workers) == (1, 1, 1)
    assert 0 < stt.done_per_min <= 1
    assert (llm.waiting, llm.working, llm.workers, llm.done_per_min) == (1, 0, 1, 0)
    assert (overview.live, overview.delayed, overview.dead) == (3, 0, 0)
    assert [(worker.name, worker.stage, worker.working) for worker in overview.workers] == [
        ("llm-1", "llm", 0),
        ("stt-1", "stt", 1),
    ]


async def test_overview_shows_how_long_the_next_task_has_waited(driver, admin):
    """A stage's age is that of its next task; an empty list, or one whose next entry is no task, has none."""
    first, _ = await driver.submit(), await driver.submit()
    driver.redis.hincrby(KEYS["JOB"] + first, "queued_at:stt", -60_000)
    driver.redis.rpush(KEYS["QUEUE"] + "tts", b"\xff")
    stages = (await admin.overview()).stages
    assert 60 <= stages["stt"].oldest_s < 70
    assert (stages["llm"].oldest_s, stages["tts"].oldest_s) == (None, None)


async def test_audit_drops_counts_of_more_than_an_hour_ago(driver, queue):
    """The audit drops the counts of tasks that were done more than an hour ago, and keeps the latest."""
    await driver.submit()
    claim = await driver.claim("stt-1")
    await queue.commit("stt-1", claim, Outcome())
    driver.redis.hset(KEYS["DONE"], "stt:12345", 7)
    await queue.audit()
    assert len(driver.redis.hkeys(KEYS["DONE"])) == 1


async def test_stats_count_live_jobs_and_the_rate_of_ending_ones(driver, queue):
    """The stats count the live jobs, and the jobs that ended in each second of the last minute."""
    for _ in range(4):
        await driver.submit()
    claim = await driver.claim("stt-1")
    await queue.commit("stt-1", claim, Outcome())
    stats = await queue.stats()
    assert (stats.live, stats.memory_full) == (3, False)
    assert stats.ended_per_s == pytest.approx(1 / 60)


async def test_stats_report_when_redis_is_nearly_full(driver, queue):
    """The stats report full memory before Redis refuses to write, so that accepted jobs have room to end."""
    used = driver.redis.info("memory")["used_memory"]
    try:
        driver.redis.config_set("maxmemory", used * 2)
        assert not (await queue.stats()).memory_full
        driver.redis.config_set("maxmemory", round(used * 1.1))
        assert (await queue.stats()).memory_full
    finally:
        driver.redis.config_set("maxmemory", 0)
