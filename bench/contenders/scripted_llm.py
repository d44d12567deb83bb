"""A language model that takes no time. All its answers differ, so that no cache can serve one."""

from collections.abc import AsyncIterator
from itertools import count

from llm_worker.engine import Prompt

_numbers = count(1)


def next_answer() -> str:
    """Two sentences with a new number."""
    number = next(_numbers)
    return f"This is answer number {number}, as you have asked for it. In {number} days it will be another one."


class ScriptedLlm:
    name = "scripted"
    model = ""

    async def answer(self, _prompt: Prompt) -> AsyncIterator[str]:
        yield next_answer()

    async def close(self) -> None:
        pass


def load(_settings: object) -> ScriptedLlm:
    return ScriptedLlm()
