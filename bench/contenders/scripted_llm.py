"""A language model that takes no time, and never says the same twice, so that nothing can be answered from a memory."""

from collections.abc import AsyncIterator
from itertools import count

from llm_worker.engine import Prompt

_numbers = count(1)


def answer() -> str:
    """Two sentences."""
    number = next(_numbers)
    return f"This is answer number {number}, as you have asked for it. In {number} days it will be another one."


class ScriptedLlm:
    name, model = "scripted", ""

    async def answer(self, _prompt: Prompt) -> AsyncIterator[str]:
        yield answer()

    async def close(self) -> None:
        pass


def load(_settings: object) -> ScriptedLlm:
    return ScriptedLlm()
