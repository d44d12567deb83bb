"""The language model engine's protocol, and the prompt that it answers."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol

from llm_worker.languages import language_name


@dataclass(frozen=True)
class HistoryTurn:
    """An earlier turn of the conversation, as a prompt includes it."""

    user: str
    assistant: str


@dataclass(frozen=True)
class Prompt:
    """The input of one reply."""

    text: str
    """The user's transcript or text."""

    language: str
    """ISO 639-1 code of the user's language; empty if unknown."""

    system: str
    """The system prompt: how to answer."""

    history: tuple[HistoryTurn, ...] = ()
    """Earlier turns, oldest first."""

    @property
    def instructions(self) -> str:
        """`system`, followed by the language to answer in: without it a model continues in the language of its
        instructions, or of the turns before."""
        if not self.language:
            return self.system
        name = language_name(self.language)
        return f"{self.system}\n\nThe user speaks {name}. Answer in {name}, unless you were told otherwise.".lstrip()


class LlmEngine(Protocol):
    """Answers prompts. Runs on the event loop; several replies may be in progress at once."""

    name: str
    """As in `LLM_ENGINE`, but never `auto`."""

    model: str
    """The model that answers."""

    def answer(self, prompt: Prompt) -> AsyncIterator[str]:
        """Yield the reply's text in chunks as they arrive. Ends without an exception only after a whole reply.

        Raises:
            ModelUnavailable: a retry may help; `retry_after_s` is set if the server named a delay.
            ModelRefused: the key, the model's name or the request is wrong.
            AnswerBlocked: the model declined, or its reply is empty.
        """
        ...

    async def close(self) -> None:
        """Close the connections."""
        ...
