"""Deadlines around an engine's stream."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import pytest

from llm_worker.timeouts import with_timeouts
from shared.errors import AnswerBlocked, ModelUnavailable


class Script:
    """A stream that yields texts, waits for numbers of seconds, raises errors, and knows whether it was ended."""

    def __init__(self, *steps: str | float | Exception) -> None:
        self.steps = steps
        self.ended = False

    async def pieces(self) -> AsyncGenerator[str, None]:
        try:
            for step in self.steps:
                if isinstance(step, Exception):
                    raise step
                if isinstance(step, str):
                    yield step
                else:
                    await asyncio.sleep(step)
        finally:
            self.ended = True


async def heard(script: Script, first_s: float = 5, idle_s: float = 5, into: list[str] | None = None) -> list[str]:
    words = [] if into is None else into
    async for piece in with_timeouts(script.pieces(), first_s, idle_s):
        words.append(piece)
    return words


async def test_a_timely_answer_passes_unchanged() -> None:
    """Every piece comes, in order."""
    assert await heard(Script("one ", 0.01, "two ", "three")) == ["one ", "two ", "three"]


async def test_a_late_beginning_is_unavailable() -> None:
    """The first deadline ends the engine's stream and names itself."""
    script = Script(30, "late")
    with pytest.raises(ModelUnavailable, match=r"begin within 0\.02 seconds"):
        await heard(script, first_s=0.02)
    assert script.ended


async def test_a_long_pause_is_unavailable() -> None:
    """The idle deadline holds between pieces, and what came before it has been heard."""
    script = Script("one ", 30, "two")
    words: list[str] = []
    with pytest.raises(ModelUnavailable, match=r"paused for more than 0\.02 seconds"):
        await heard(script, idle_s=0.02, into=words)
    assert words == ["one "]
    assert script.ended


async def test_the_first_deadline_ends_with_the_first_piece() -> None:
    """A short first deadline does not hurry the rest."""
    assert await heard(Script("one ", 0.1, "two"), first_s=0.05) == ["one ", "two"]


async def test_a_slow_listener_is_not_the_models_fault() -> None:
    """What the listener does between two pieces does not count."""
    words = []
    async for piece in with_timeouts(Script("one ", "two").pieces(), 0.05, 0.05):
        await asyncio.sleep(0.1)
        words.append(piece)
    assert words == ["one ", "two"]


async def test_the_engines_own_error_passes() -> None:
    """It comes after the pieces that came before it."""
    words: list[str] = []
    with pytest.raises(AnswerBlocked):
        await heard(Script("one ", AnswerBlocked()), into=words)
    assert words == ["one "]


async def test_a_listener_that_stops_ends_the_stream() -> None:
    """Closing from outside reaches the engine, though it is in the middle of waiting."""
    script = Script("one ", 30, "two")
    async with aclosing(with_timeouts(script.pieces(), 5, 60)) as pieces:
        await anext(pieces)
    assert script.ended


async def test_a_cancelled_listener_ends_the_stream() -> None:
    """Cancelling the listener's task reaches the engine."""
    script = Script(30)
    task = asyncio.create_task(heard(script, first_s=60))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert script.ended


async def test_a_piece_that_is_no_text_does_not_pass_for_the_end() -> None:
    """Half an answer is never taken for the whole."""

    async def pieces() -> AsyncGenerator[str, None]:
        yield "Half an "
        yield None  # type: ignore[misc]
        yield "answer."

    assert [piece async for piece in with_timeouts(pieces(), 5, 5)] == ["Half an ", None, "answer."]
