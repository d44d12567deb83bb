"""A language model's server that answers each job with its own answer, word by word, or misbehaves."""

import random

from chaos import content
from chaos.engines import LONGEST_S, WORD_S
from chaos.orders import Orders
from fakes.model_server import Cut, Hang, Pause, Received, Reply
from fakes.openai_server import OpenAiServer, answer, error, unfinished


class ErraticModel(OpenAiServer):
    def __init__(self, orders: Orders) -> None:
        super().__init__("")
        self._orders = orders

    def check(self, received: Received) -> Reply | None:
        number = content.number_named(received.body["messages"][-1]["content"])
        whole = content.answer(number) if number is not None else "I heard nothing at all."
        match self._orders.due("llm", number):
            case "too_many":
                return error(429, "Slow down.", headers={"retry-after": "1"})
            case "breaks":
                return error(500, "The model broke.")
            case "refuses":
                return error(401, "Who are you?")
            case "hangs":
                return unfinished(whole[: len(whole) // 2], Hang())
            case "cut_off":
                return unfinished(whole[: len(whole) // 2], Cut())
            case "garbage":
                return Reply((b"data: {this is no JSON}\n\n",))
            case "says_nothing":
                return answer()
        words = [(word + " ", Pause(random.uniform(0, WORD_S))) for word in whole.split(" ")]
        return answer(Pause(random.uniform(0, LONGEST_S)), *(step for word in words for step in word))
