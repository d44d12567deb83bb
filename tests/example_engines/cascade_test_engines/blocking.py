"""A language model engine with a bug: it blocks its worker's event loop, for the delay of the delay file."""

import time
from collections.abc import AsyncIterator

from cascade_test_engines.slow import SlowLlm, delay_s
from llm_worker.engine import Prompt


class BlockingLlm(SlowLlm):
    name = "blocking"

    async def answer(self, prompt: Prompt) -> AsyncIterator[str]:
        time.sleep(delay_s("llm"))  # noqa: ASYNC251 (the bug)
        yield f"You said: {prompt.text}"


def load(_settings: object) -> BlockingLlm:
    return BlockingLlm()
