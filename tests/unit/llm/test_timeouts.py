"""Timeouts of an engine's stream."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import pytest

from llm_worker.timeouts import with_timeouts
from shared.errors import AnswerBlocked, ModelUnavailable


class ScriptedStream:
    """A stream that yields texts, sleeps for numbers of seconds and raises errors, and records its end."""

    def __init__(self, *steps: str | float | Exception) -> None:
        self.steps = steps
        self.is_ended = False

    async def chunks(self) -> AsyncGenerator[str, None]:
        try:
            for step in self.steps:
                if isinstance(step, Exception):
                    raise step
                if isinstance(step, str):
                    yield step
                else:
                    await asyncio.sleep(step)
        finally:
            self.is_ended = True


async def read(
    stream: ScriptedStream, first_s: float = 5, idle_s: float = 5, into: list[str] | None = None
) -> list[str]:
    """Read the stream with timeouts; return its chunks, which are appended to `into` as they arrive."""
    chunks = [] if into is None else into
    async for chunk in with_timeouts(stream.chunks(), first_s, idle_s):
        chunks.append(chunk)
    return chunks


async def test_timely_stream_is_unchanged() -> None:
    """A stream within its timeouts yields every chunk in order."""
    assert await read(ScriptedStream("one ", 0.01, "two ", "three")) == ["one ", "two ", "three"]


async def test_first_timeout_ends_the_stream() -> None:
    """A stream whose first chunk is late is ended, and the error names the timeout."""
    stream = ScriptedStream(30, "late")
    with pytest.raises(ModelUnavailable, match=r"begin within 0\.02 seconds"):
        await read(stream, first_s=0.02)
    assert stream.is_ended


async def test_idle_timeout_ends_the_stream() -> None:
    """A stream that pauses for too long yields its earlier chunks and is ended, and the error names the timeout."""
    stream = ScriptedStream("one ", 30, "two")
    received: list[str] = []
    with pytest.raises(ModelUnavailable, match=r"paused for more than 0\.02 seconds"):
        await read(stream, idle_s=0.02, into=received)
    assert received == ["one "]
    assert stream.is_ended


async def test_first_timeout_ends_with_the_first_chunk() -> None:
    """A short first timeout does not limit the later chunks."""
    assert await read(ScriptedStream("one ", 0.1, "two"), first_s=0.05) == ["one ", "two"]


async def test_slow_consumer_does_not_count() -> None:
    """The time that the consumer takes between two chunks does not count as waiting for the model."""
    received = []
    async for chunk in with_timeouts(ScriptedStream("one ", "two").chunks(), 0.05, 0.05):
        await asyncio.sleep(0.1)
        received.append(chunk)
    assert received == ["one ", "two"]


async def test_engine_error_is_raised_after_its_chunks() -> None:
    """An engine's error is raised after the chunks before it."""
    received: list[str] = []
    with pytest.raises(AnswerBlocked):
        await read(ScriptedStream("one ", AnswerBlocked()), into=received)
    assert received == ["one "]


async def test_closed_stream_ends_the_engine() -> None:
    """Closing the stream ends the engine's generator, even while it waits."""
    stream = ScriptedStream("one ", 30, "two")
    async with aclosing(with_timeouts(stream.chunks(), 5, 60)) as chunks:
        await anext(chunks)
    assert stream.is_ended


async def test_cancelled_consumer_ends_the_engine() -> None:
    """Cancelling the consumer's task ends the engine's generator."""
    stream = ScriptedStream(30)
    task = asyncio.create_task(read(stream, first_s=60))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert stream.is_ended


async def test_none_is_not_the_end_of_a_stream() -> None:
    """A chunk that is None does not end the stream: half a reply is never taken for the whole."""

    async def chunks() -> AsyncGenerator[str, None]:
        yield "Half an "
        yield None  # type: ignore[misc]
        yield "answer."

    assert [chunk async for chunk in with_timeouts(chunks(), 5, 5)] == ["Half an ", None, "answer."]
