"""A waiting job's position and estimated wait."""

import pytest

from shared.queue.events import PositionEvent
from shared.queue.keys import KEYS
from shared.queue.messages import Outcome

pytestmark = pytest.mark.redis


async def test_position_counts_the_tasks_before_a_waiting_job(driver, queue):
    """A waiting job's position is the number of tasks before its own; a job that is claimed, ended or unknown has
    none."""
    jobs = [await driver.submit() for _ in range(3)]
    assert [(await queue.position(job_id)).ahead for job_id in jobs] == [0, 1, 2]
    assert await queue.position(jobs[2]) == PositionEvent("stt", 2, None)
    await driver.claim("stt-1")
    assert await queue.position(jobs[0]) is None
    assert (await queue.position(jobs[2])).ahead == 1
    await queue.cancel(jobs[2])
    assert await queue.position(jobs[2]) is None
    assert await queue.position("0" * 32) is None


async def test_wait_is_estimated_from_the_latest_rate(driver, queue):
    """At two tasks in the last one or two minutes, the third job in line waits for 90 to 180 s."""
    jobs = [await driver.submit() for _ in range(5)]
    for _ in range(2):
        await queue.commit("stt-1", await driver.claim("stt-1"), Outcome())
    assert 90 <= (await queue.position(jobs[4])).wait_s <= 180


async def test_position_of_a_job_with_segments_is_that_of_the_next_segment(driver, queue):
    """Among many waiting segments the one with the lowest number counts; a claimed one does not."""
    job_id, claim = await driver.reach_llm()
    await queue.commit("llm-1", claim, Outcome(parts=("tts", ["A long sentence. " * 9] * 40)))
    assert (await queue.position(job_id)) == PositionEvent("tts", 0, None)
    for number in range(12):
        claim = await driver.claim("tts-1", "tts")
        assert claim.part == str(number)
        assert (await queue.position(job_id)).ahead == 0
        driver.redis.rpush(KEYS["QUEUE"] + "tts", f"tts:{'a' * 32}:{number}")
        assert (await queue.position(job_id)).ahead == 1
        driver.redis.rpop(KEYS["QUEUE"] + "tts")
        await queue.commit("tts-1", claim, Outcome(part=(number, "x")))


async def test_position_of_a_job_to_be_restarted_is_that_of_its_llm_task(driver, queue):
    """A job whose LLM task was released waits for that task, not for the segments that will be discarded."""
    job_id, claim = await driver.reach_llm()
    await queue.commit_partial("llm-1", claim, Outcome(parts=("tts", ["a", "b"])))
    assert (await queue.position(job_id)).stage == "tts"
    await queue.release("llm-1", claim)
    assert (await queue.position(job_id)).stage == "llm"
