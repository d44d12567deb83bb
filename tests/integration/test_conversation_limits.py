"""Conversations in Redis: expiry, size limits and damaged keys."""

import asyncio

import pytest

from shared.errors import QueueUnreadable
from shared.queue.keys import HISTORY_BYTES, KEYS, TURNS_KEPT
from shared.queue.messages import Outcome

pytestmark = pytest.mark.redis

KEY = KEYS["CONVERSATION"] + "kitchen"


async def test_conversation_expires_after_its_last_turn(redis, ask, answer, conversations):
    """Each turn and each answer prolongs a conversation's life; a turn after its expiry starts a new one."""
    await ask("hello")
    assert (await conversations.find("kitchen")).expires_in_s == pytest.approx(86_400, abs=5)
    redis.pexpire(KEY, 1000)
    await answer("there")
    assert (await conversations.find("kitchen")).expires_in_s == pytest.approx(86_400, abs=5)
    redis.pexpire(KEY, 1)
    async with asyncio.timeout(10):
        while await conversations.find("kitchen"):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    await ask("again")
    claim, _ = await answer("hello")
    assert claim.history == ()


async def test_long_conversation_is_bounded(driver, queue, redis, ask, answer, conversations):
    """A conversation drops its oldest turns beyond the limit, and a history has the latest that fit its bytes."""
    for number in range(TURNS_KEPT + 5):
        await ask(f"question {number}", route="llm")
        claim = await driver.claim("llm-1", "llm")
        await queue.commit("llm-1", claim, Outcome({"response": "x"}))
    assert [turn.user for turn in (await conversations.find("kitchen")).turns] == [
        f"question {number}" for number in range(5, TURNS_KEPT + 5)
    ]
    assert redis.hlen(KEY) < 5 * TURNS_KEPT

    for _ in range(2):
        await ask("long", route="llm")
        claim = await driver.claim("llm-1", "llm")
        await queue.commit("llm-1", claim, Outcome({"response": "x" * (HISTORY_BYTES - 100)}))
    await ask("next")
    claim, _ = await answer("there")
    assert [user for user, _ in claim.history] == ["long"]


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda redis: (redis.delete(KEY), redis.set(KEY, b"\xff")), id="a string"),
        pytest.param(lambda redis: redis.hset(KEY, mapping={"next": "junk", "first": b"\xff"}), id="damaged numbers"),
        pytest.param(lambda redis: redis.hset(KEY, mapping={"ttl_ms": "junk", "language_of": "x"}), id="damaged time"),
        pytest.param(lambda redis: redis.delete(KEY), id="deleted"),
    ],
)
@pytest.mark.parametrize("moment", ["before the turn", "while it is answered"])
async def test_damaged_conversation_stops_no_job(driver, queue, redis, ask, answer, conversations, damage, moment):
    """Jobs of a conversation that another program has damaged complete, at worst without history."""
    await ask("hello")
    await answer("there")
    if moment == "before the turn":
        damage(redis)
        job_id = await ask("next")
        claim = await driver.claim("llm-1", "llm")
    else:
        job_id = await ask("next")
        claim = await driver.claim("llm-1", "llm")
        damage(redis)
    assert (await answer("done", claim))[1] == "committed"
    assert (await queue.job(job_id)).response == "done"
    assert await queue.cancel(job_id) == "cancelled"


async def test_unreadable_conversation_raises_queue_unreadable(redis, conversations):
    """A hash that is no conversation raises QueueUnreadable; a key of another type counts as no conversation."""
    redis.set(KEY, "junk")
    assert await conversations.find("kitchen") is None
    redis.delete(KEY)
    redis.hset(KEY, mapping={"user:0": "hello", "job:0": "a" * 32, "at:0": "noon"})
    with pytest.raises(QueueUnreadable):
        await conversations.find("kitchen")
    assert await conversations.delete("kitchen")
