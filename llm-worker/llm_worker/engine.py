"""What a language model engine is."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol

from llm_worker.languages import name_of


@dataclass(frozen=True)
class Turn:
    """One earlier turn of a conversation."""

    user: str
    assistant: str


@dataclass(frozen=True)
class Prompt:
    """What the model is asked."""

    text: str
    """What the person said."""

    language: str
    """ISO 639-1 code of the language they spoke; empty where nobody knows."""

    system: str
    """How to answer."""

    history: tuple[Turn, ...] = ()
    """Earlier turns, oldest first."""

    @property
    def instructions(self) -> str:
        """`system`, and which language to answer in: a model would else go on in that of its instructions, or of the
        turns before."""
        if not self.language:
            return self.system
        name = name_of(self.language)
        return f"{self.system}\n\nThe user speaks {name}. Answer in {name}, unless you were told otherwise.".lstrip()


class LlmEngine(Protocol):
    """Answers a prompt. Lives on the event loop; several answers may be under way at once."""

    name: str
    """As in `LLM_ENGINE`, but never `auto`."""

    model: str
    """Which model answers."""

    def answer(self, prompt: Prompt) -> AsyncIterator[str]:
        """Yield the answer's text in pieces as they arrive. Ends normally only after a whole answer.

        Raises:
            ModelUnavailable: may pass; `retry_after_s` is set where the server named a delay.
            ModelRefused: the key, the model's name or the request is wrong.
            AnswerBlocked: the model declined, or answered nothing.
        """
        ...

    async def close(self) -> None:
        """Give the connections back."""
        ...
