"""Where a job waits, and for how long."""

import pytest

from shared.queue.events import PositionEvent
from shared.queue.keys import KEYS
from shared.queue.messages import Outcome

pytestmark = pytest.mark.redis


async def test_a_waiting_job_is_told_how_many_are_before_it(driver, queue):
    """In whichever list it is; nothing while somebody is at it, or when it has ended."""
    jobs = [await driver.submit() for _ in range(3)]
    assert [(await queue.position(job_id)).ahead for job_id in jobs] == [0, 1, 2]
    assert await queue.position(jobs[2]) == PositionEvent("stt", 2, None)
    await driver.claim("stt-1")
    assert await queue.position(jobs[0]) is None
    assert (await queue.position(jobs[2])).ahead == 1
    await queue.cancel(jobs[2])
    assert await queue.position(jobs[2]) is None
    assert await queue.position("0" * 32) is None


async def test_the_wait_is_reckoned_from_what_was_done_lately(driver, queue):
    """Two tasks in the last minute or two: the third in line waits for more than a minute."""
    jobs = [await driver.submit() for _ in range(5)]
    for _ in range(2):
        await queue.commit("stt-1", await driver.claim("stt-1"), Outcome())
    assert 90 <= (await queue.position(jobs[4])).wait_s <= 180


async def test_of_several_parts_the_next_one_counts(driver, queue):
    """However many wait, and in whatever order they are stored; one that is being spoken waits no more."""
    job_id, claim = await driver.reach_llm()
    await queue.commit("llm-1", claim, Outcome(parts=("tts", ["A long sentence. " * 9] * 40)))
    assert (await queue.position(job_id)) == PositionEvent("tts", 0, None)
    for spoken in range(12):
        claim = await driver.claim("tts-1", "tts")
        assert claim.part == str(spoken)
        assert (await queue.position(job_id)).ahead == 0
        driver.redis.rpush(KEYS["QUEUE"] + "tts", f"tts:{'a' * 32}:{spoken}")
        assert (await queue.position(job_id)).ahead == 1
        driver.redis.rpop(KEYS["QUEUE"] + "tts")
        await queue.commit("tts-1", claim, Outcome(part=(spoken, "x")))


async def test_an_answer_that_is_to_be_made_anew_waits_for_that(driver, queue):
    """Not for the parts that will be taken back."""
    job_id, claim = await driver.reach_llm()
    await queue.commit_partial("llm-1", claim, Outcome(parts=("tts", ["a", "b"])))
    assert (await queue.position(job_id)).stage == "tts"
    await queue.release("llm-1", claim)
    assert (await queue.position(job_id)).stage == "llm"
