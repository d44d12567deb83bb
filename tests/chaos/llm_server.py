"""A language model's server that replies to each job with its own answer, word by word, or misbehaves."""

import random

from chaos import content
from chaos.engines import MAX_COMPUTE_S, MAX_WORD_PAUSE_S
from chaos.misbehaviors import Misbehaviors
from fakes.model_server import Cut, Hang, Pause, Received, Reply
from fakes.openai_server import OpenAiServer, answer, error, unfinished


class ErraticLlmServer(OpenAiServer):
    def __init__(self, misbehaviors: Misbehaviors) -> None:
        super().__init__("")
        self._misbehaviors = misbehaviors

    def check(self, received: Received) -> Reply | None:
        number = content.number_from_text(received.body["messages"][-1]["content"])
        text = content.answer(number) if number is not None else "The transcript names no recording."
        match self._misbehaviors.take("llm", number):
            case "rate_limits":
                return error(429, "Slow down.", headers={"retry-after": "1"})
            case "fails":
                return error(500, "The model crashed.")
            case "rejects_key":
                return error(401, "The key is not valid.")
            case "hangs":
                return unfinished(text[: len(text) // 2], Hang())
            case "breaks_off":
                return unfinished(text[: len(text) // 2], Cut())
            case "returns_garbage":
                return Reply((b"data: {this is no JSON}\n\n",))
            case "returns_empty":
                return answer()
        words = [(word + " ", Pause(random.uniform(0, MAX_WORD_PAUSE_S))) for word in text.split(" ")]
        return answer(Pause(random.uniform(0, MAX_COMPUTE_S)), *(step for word in words for step in word))
