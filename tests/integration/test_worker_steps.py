"""Partial commits: a worker that records its work step by step, and failures between two steps."""

import asyncio
from uuid import uuid4

import pytest

from fakes.handlers import FakeHandler, FakeWriter, synthesize
from shared.errors import ModelUnavailable, UnknownVoice
from shared.queue.events import TextEvent
from shared.queue.keys import KEYS
from shared.queue.messages import Claim, Outcome
from shared.queue.queue import Queue
from shared.queue.stages import task_name
from shared.worker.handler import RecordStep
from support.running_worker import run_workers, wait_until_ended
from support.wait import async_wait_until

pytestmark = pytest.mark.redis


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten the backoff, the blocking claim and the sweep's interval."""
    monkeypatch.setattr("shared.worker.backoff.BACKOFF_S", 0.001)
    monkeypatch.setattr("shared.queue.queue.BLOCK_S", 0.05)
    monkeypatch.setattr("shared.worker.worker.SWEEP_S", 0.1)


WORDS = ["one", "two", "three", "four", "five"]


def step_of(*words: str) -> Outcome:
    """A step that queues each word as a segment."""
    return Outcome(parts=("tts", words), events=[TextEvent(word) for word in words])


async def write(_claim: Claim, record_step: RecordStep) -> Outcome:
    for word in WORDS:
        await record_step(step_of(word))
    return Outcome({"response": " ".join(WORDS)}, parts=("tts", []))


async def submit(queue: Queue) -> str:
    """Submit a job for the LLM stage; its id."""
    job_id = uuid4().hex
    await queue.submit(job_id, {"route": "llm,tts"}, [(task_name("llm", job_id), "")], max_live=9)
    return job_id


async def followed_words(queue: Queue, job_id: str) -> list[str]:
    """The answer of a client that follows the events: a restart discards the words before it."""
    words: list[str] = []
    for event in await queue.events(job_id):
        words = (
            [] if event["event"] == "restarted" else [*words, *([event["text"]] if event["event"] == "text" else [])]
        )
    return words


async def test_steps_during_a_killed_redis_are_each_recorded_once(own_redis):
    """An answer during which Redis is killed and restarted twice is complete, without a repeated word."""
    queue = Queue.connect(own_redis.url)
    written = asyncio.Event()

    async def write_through_outages(claim: Claim, record_step: RecordStep) -> Outcome:
        for number, word in enumerate(WORDS):
            step = asyncio.create_task(record_step(step_of(word)))
            if number in (1, 3):
                own_redis.kill()
                await asyncio.sleep(0.6)
                own_redis.start()
            await step
        written.set()
        return Outcome({"response": " ".join(WORDS)}, parts=("tts", []))

    job_id = await submit(queue)
    async with run_workers(queue, FakeWriter(write_through_outages), FakeHandler(synthesize, "tts"), concurrency=2):
        await asyncio.wait_for(written.wait(), 20)
        job = await wait_until_ended(queue, job_id)
    assert job.audio_path == '["one","two","three","four","five"]'
    assert await followed_words(queue, job_id) == WORDS
    await queue.close()


async def test_attempt_that_fails_in_the_middle_is_restarted(driver, queue):
    """An answer that breaks off is discarded, and the next attempt's answer replaces it."""

    async def break_off(claim: Claim, record_step: RecordStep) -> Outcome:
        if claim.attempt > 2:
            return await write(claim, record_step)
        await record_step(step_of("once", "upon"))
        raise ModelUnavailable

    job_id = await submit(queue)
    async with run_workers(queue, FakeWriter(break_off), FakeHandler(synthesize, "tts"), concurrency=2):
        job = await wait_until_ended(queue, job_id)
    assert job.audio_path == '["one","two","three","four","five"]'
    assert await followed_words(queue, job_id) == WORDS
    assert [event["first"] for event in await queue.events(job_id) if event["event"] == "restarted"] == [2, 4]
    assert driver.places() == {}


async def test_paused_worker_stops_at_its_next_step(driver, queue):
    """A paused worker whose task was reclaimed is cancelled at its next step, and another attempt completes."""
    paused = asyncio.Event()
    go_on = asyncio.Event()

    async def pause(claim: Claim, record_step: RecordStep) -> Outcome:
        if paused.is_set():
            return await write(claim, record_step)
        await record_step(step_of("zero"))
        paused.set()
        await go_on.wait()
        await record_step(step_of("late"))
        raise AssertionError("the attempt went on")

    job_id = await submit(queue)
    writer = FakeWriter(pause)
    async with run_workers(queue, writer, FakeHandler(synthesize, "tts"), concurrency=2) as workers:
        await asyncio.wait_for(paused.wait(), 20)
        with driver.redis.pipeline() as sweep:  # its effect on a worker whose lease has expired
            task = task_name("llm", job_id)
            sweep.lrem(KEYS["HELD"] + workers[0].name, 1, task)
            sweep.hdel(KEYS["TASKS"] + job_id, f"token:{task}", f"worker:{task}")
            sweep.rpush(KEYS["QUEUE"] + "llm", task)
            sweep.execute()
        go_on.set()
        job = await wait_until_ended(queue, job_id)
        await async_wait_until(lambda: writer.cancelled)
    assert job.audio_path == '["one","two","three","four","five"]'
    assert await followed_words(queue, job_id) == WORDS


async def test_writer_of_a_failed_job_stops_at_its_next_step(driver, queue):
    """An answer of which one segment cannot be synthesized is not written to its end."""

    async def write_on(_claim: Claim, record_step: RecordStep) -> Outcome:
        for _ in range(1000):
            await record_step(step_of("word"))
            await asyncio.sleep(0.02)
        raise AssertionError("the attempt went on")

    async def refuse(_claim: Claim) -> Outcome:
        raise UnknownVoice

    job_id = await submit(queue)
    writer = FakeWriter(write_on)
    synthesizer = FakeHandler(refuse, "tts")
    async with run_workers(queue, writer, synthesizer, concurrency=2):
        job = await wait_until_ended(queue, job_id)
        await async_wait_until(lambda: writer.cancelled)
    assert (job.status, job.error.code if job.error else None) == ("failed", "unknown_voice")
    assert (await queue.events(job_id))[-1]["event"] == "failed"


async def test_answer_of_which_redis_lost_a_step_is_restarted(driver, queue):
    """An answer of which Redis has lost a step with its last second is not committed, and is written again."""

    async def write_and_lose(claim: Claim, record_step: RecordStep) -> Outcome:
        outcome = await write(claim, record_step)
        if claim.attempt == 1:
            driver.redis.hincrby(KEYS["TASKS"] + claim.job_id, f"steps:{claim.task}", -1)
        return outcome

    job_id = await submit(queue)
    async with run_workers(queue, FakeWriter(write_and_lose), FakeHandler(synthesize, "tts"), concurrency=2):
        job = await wait_until_ended(queue, job_id)
    assert (job.audio_path, job.attempts["llm"]) == ('["one","two","three","four","five"]', 2)
    assert await followed_words(queue, job_id) == WORDS
