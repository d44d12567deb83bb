"""A prompt for engines, and the reply to it."""

from llm_worker.engine import LlmEngine, Prompt

PROMPT = Prompt(text="What is rain?", language="en", system="Speak briefly.")


async def read_reply(engine: LlmEngine, prompt: Prompt = PROMPT) -> list[str]:
    """Return the chunks of the engine's reply."""
    return [chunk async for chunk in engine.answer(prompt)]
