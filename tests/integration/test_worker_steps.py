"""A worker that records its work step by step, whatever happens between two of them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import uuid4

import pytest

from fakes.handlers import FakeHandler, FakeWriter, speak
from shared.errors import ModelUnavailable, UnknownVoice
from shared.queue.events import TextEvent
from shared.queue.keys import KEYS
from shared.queue.messages import Claim, Outcome
from shared.queue.queue import Queue
from shared.queue.stages import task_name
from shared.worker.handler import RecordStep
from shared.worker.worker import Worker
from support.running_worker import ended, until

pytestmark = pytest.mark.redis


@pytest.fixture(autouse=True)
def in_haste(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits here for what comes later."""
    monkeypatch.setattr("shared.worker.backoff.BACKOFF_S", 0.001)
    monkeypatch.setattr("shared.queue.queue.BLOCK_S", 0.05)
    monkeypatch.setattr("shared.worker.worker.SWEEP_S", 0.1)


WORDS = ["one", "two", "three", "four", "five"]


def say(*words: str) -> Outcome:
    return Outcome(parts=("tts", words), events=[TextEvent(word) for word in words])


async def write(_claim: Claim, record_step: RecordStep) -> Outcome:
    for word in WORDS:
        await record_step(say(word))
    return Outcome({"response": " ".join(WORDS)}, parts=("tts", []))


@asynccontextmanager
async def running(queue: Queue, *handlers: FakeHandler) -> AsyncIterator[list[Worker]]:
    """Workers at work, stopped at the end of the block."""
    workers = [Worker(queue, handler, concurrency=2, max_attempts=5, grace_s=5.0) for handler in handlers]
    tasks = [asyncio.create_task(worker.run()) for worker in workers]
    try:
        yield workers
    finally:
        for worker in workers:
            worker.stop()
        await asyncio.wait_for(asyncio.gather(*tasks), 20)


async def ask(queue: Queue) -> str:
    """A job whose answer is to be written."""
    job_id = uuid4().hex
    await queue.submit(job_id, {"route": "llm,tts"}, [(task_name("llm", job_id), "")], max_live=9)
    return job_id


async def heard(queue: Queue, job_id: str) -> list[str]:
    """The text, as somebody has it at the end who follows the events."""
    words: list[str] = []
    for event in await queue.events(job_id):
        words = (
            [] if event["event"] == "restarted" else [*words, *([event["text"]] if event["event"] == "text" else [])]
        )
    return words


async def test_steps_that_are_said_while_redis_is_killed_are_each_recorded_once(own_redis):
    """It dies between two of them and comes back: the answer is whole, and no word is doubled."""
    queue, written = Queue.connect(own_redis.url), asyncio.Event()

    async def write_through_outages(claim: Claim, record_step: RecordStep) -> Outcome:
        for number, word in enumerate(WORDS):
            step = asyncio.create_task(record_step(say(word)))
            if number in (1, 3):
                own_redis.kill()
                await asyncio.sleep(0.6)
                own_redis.start()
            await step
        written.set()
        return Outcome({"response": " ".join(WORDS)}, parts=("tts", []))

    job_id = await ask(queue)
    async with running(queue, FakeWriter(write_through_outages), FakeHandler(speak, "tts")):
        await asyncio.wait_for(written.wait(), 20)
        job = await ended(queue, job_id)
    assert job.audio_path == '["one","two","three","four","five"]'
    assert await heard(queue, job_id) == WORDS
    await queue.close()


async def test_an_attempt_that_fails_in_the_middle_is_made_anew(driver, queue):
    """The model broke off: what it had said is taken back, and the next answer stands alone."""

    async def break_off(claim: Claim, record_step: RecordStep) -> Outcome:
        if claim.attempt > 2:
            return await write(claim, record_step)
        await record_step(say("once", "upon"))
        raise ModelUnavailable

    job_id = await ask(queue)
    async with running(queue, FakeWriter(break_off), FakeHandler(speak, "tts")):
        job = await ended(queue, job_id)
    assert job.audio_path == '["one","two","three","four","five"]'
    assert await heard(queue, job_id) == WORDS
    assert [event["first"] for event in await queue.events(job_id) if event["event"] == "restarted"] == [2, 4]
    assert driver.places() == {}


async def test_a_paused_worker_stops_at_its_next_step(driver, queue):
    """Its work has been taken away meanwhile, and another has done it."""
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def pause(claim: Claim, record_step: RecordStep) -> Outcome:
        if begun.is_set():
            return await write(claim, record_step)
        await record_step(say("zero"))
        begun.set()
        await go_on.wait()
        await record_step(say("late"))
        raise AssertionError("it goes on")

    job_id = await ask(queue)
    writer = FakeWriter(pause)
    async with running(queue, writer, FakeHandler(speak, "tts")) as workers:
        await asyncio.wait_for(begun.wait(), 20)
        with driver.redis.pipeline() as sweep:  # what it does to a worker whose lease has run out
            task = task_name("llm", job_id)
            sweep.lrem(KEYS["HELD"] + workers[0].name, 1, task)
            sweep.hdel(KEYS["TASKS"] + job_id, f"token:{task}", f"worker:{task}")
            sweep.rpush(KEYS["QUEUE"] + "llm", task)
            sweep.execute()
        go_on.set()
        job = await ended(queue, job_id)
        await until(lambda: _truth(writer.cancelled))
    assert job.audio_path == '["one","two","three","four","five"]'
    assert await heard(queue, job_id) == WORDS


async def test_a_writer_whose_job_has_failed_stops_at_its_next_step(driver, queue):
    """One of its sentences cannot be spoken: nobody needs the others."""

    async def write_on(_claim: Claim, record_step: RecordStep) -> Outcome:
        for _ in range(1000):
            await record_step(say("word"))
            await asyncio.sleep(0.02)
        raise AssertionError("it goes on")

    async def refuse(_claim: Claim) -> Outcome:
        raise UnknownVoice

    job_id = await ask(queue)
    writer, voice = FakeWriter(write_on), FakeHandler(refuse, "tts")
    async with running(queue, writer, voice):
        job = await ended(queue, job_id)
        await until(lambda: _truth(writer.cancelled))
    assert (job.status, job.error.code if job.error else None) == ("failed", "unknown_voice")
    assert (await queue.events(job_id))[-1]["event"] == "failed"


async def test_an_answer_of_which_redis_has_lost_a_step_is_made_anew(driver, queue):
    """With its last second. The worker learns of it when it has done its work, and does it again."""

    async def write_and_lose(claim: Claim, record_step: RecordStep) -> Outcome:
        outcome = await write(claim, record_step)
        if claim.attempt == 1:
            driver.redis.hincrby(KEYS["TASKS"] + claim.job_id, f"steps:{claim.task}", -1)
        return outcome

    job_id = await ask(queue)
    async with running(queue, FakeWriter(write_and_lose), FakeHandler(speak, "tts")):
        job = await ended(queue, job_id)
    assert (job.audio_path, job.attempts["llm"]) == ('["one","two","three","four","five"]', 2)
    assert await heard(queue, job_id) == WORDS


async def _truth(value: object) -> object:
    return value
