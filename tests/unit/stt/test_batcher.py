"""Those who are on their way are waited for; those who fail, leave or are cancelled harm nobody."""

import asyncio
from collections.abc import Sequence

import pytest

from shared.errors import EngineCrashed, NoSpeech
from stt_worker.batcher import Batcher


class Asked:
    """Answers with what it was asked, in capitals, when it is let."""

    def __init__(self) -> None:
        self.calls: list[list[str]] = []
        self.cancelled = 0
        self.may_answer = asyncio.Event()
        self.error: Exception | None = None

    async def ask(self, requests: Sequence[str]) -> Sequence[str | Exception]:
        self.calls.append(list(requests))
        try:
            await self.may_answer.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if self.error:
            raise self.error
        return [NoSpeech() if request == "silence" else request.upper() for request in requests]


@pytest.fixture
async def asked() -> Asked:
    return Asked()


@pytest.fixture
async def together(asked: Asked) -> Batcher[str, str]:
    return Batcher(asked.ask)


async def bring(together: Batcher[str, str], request: str, after_s: float = 0) -> str:
    with together.on_the_way() as ask:
        await asyncio.sleep(after_s)
        if request == "corrupt":
            raise ValueError(request)
        return await ask(request)


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_one_alone_is_asked_for_at_once(together: Batcher[str, str], asked: Asked) -> None:
    """There is nobody to wait for."""
    asked.may_answer.set()
    assert await bring(together, "one") == "ONE"
    assert await bring(together, "two") == "TWO"
    assert asked.calls == [["one"], ["two"]]


async def test_all_who_are_on_their_way_share_a_call(together: Batcher[str, str], asked: Asked) -> None:
    """However long each takes to come."""
    asked.may_answer.set()
    answers = await asyncio.gather(*(bring(together, name, after_s) for name, after_s in [("a", 0.02), ("b", 0)]))
    assert answers == ["A", "B"]
    assert asked.calls == [["b", "a"]]


async def test_an_answer_may_be_an_error_for_one(together: Batcher[str, str], asked: Asked) -> None:
    """The others get theirs."""
    asked.may_answer.set()
    answers = await asyncio.gather(*(bring(together, name) for name in ("a", "silence", "c")), return_exceptions=True)
    assert (answers[0], type(answers[1]), answers[2]) == ("A", NoSpeech, "C")


async def test_who_leaves_without_a_request_is_not_waited_for(together: Batcher[str, str], asked: Asked) -> None:
    """A file that cannot be read is found out on the way."""
    asked.may_answer.set()
    answers = await asyncio.gather(bring(together, "a"), bring(together, "corrupt", 0.02), return_exceptions=True)
    assert answers[0] == "A"
    assert isinstance(answers[1], ValueError)
    assert asked.calls == [["a"]]


async def test_who_is_cancelled_before_the_call_is_not_asked_for(together: Batcher[str, str], asked: Asked) -> None:
    """Nor waited for."""
    asked.may_answer.set()
    slow = asyncio.create_task(bring(together, "slow", 0.05))
    gone = asyncio.create_task(bring(together, "gone"))
    await settle()
    gone.cancel()
    assert await slow == "SLOW"
    assert asked.calls == [["slow"]]


async def test_who_is_cancelled_during_the_call_ends_it_for_nobody_else(
    together: Batcher[str, str], asked: Asked
) -> None:
    """The call goes on for those who still wait."""
    gone, stays = (asyncio.create_task(bring(together, name)) for name in ("gone", "stays"))
    await settle()
    gone.cancel()
    await settle()
    asked.may_answer.set()
    assert await stays == "STAYS"
    assert gone.cancelled()
    assert asked.cancelled == 0


async def test_the_call_ends_when_nobody_waits_any_more(together: Batcher[str, str], asked: Asked) -> None:
    """Otherwise an engine would compute for nobody."""
    both = [asyncio.create_task(bring(together, name)) for name in ("a", "b")]
    await settle()
    for each in both:
        each.cancel()
    await asyncio.gather(*both, return_exceptions=True)
    await settle()
    assert asked.cancelled == 1


async def test_a_call_that_fails_fails_for_all(together: Batcher[str, str], asked: Asked) -> None:
    """Each hears of it, and the next call is a new one."""
    asked.may_answer.set()
    asked.error = EngineCrashed()
    answers = await asyncio.gather(bring(together, "a"), bring(together, "b"), return_exceptions=True)
    assert [type(answer) for answer in answers] == [EngineCrashed, EngineCrashed]
    asked.error = None
    assert await bring(together, "c") == "C"
