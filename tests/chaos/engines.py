"""Engines that take short random times, and misbehave on order."""

import asyncio
import os
import random
import signal
import time
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from chaos import content
from chaos.orders import Orders
from llm_worker.engine import Prompt
from shared.errors import CascadeError, ModelRefused, ModelUnavailable, NoSpeech
from stt_worker.engine import Samples, Transcript
from tts_worker.engine import Speech

#: The longest that a well-behaved engine computes.
LONGEST_S = 0.3

#: The longest that a language model pauses between two words.
WORD_S = 0.06

_LEAK_BYTES = 50_000_000

_GARBAGE: dict[str, Callable[[], Any]] = {
    "returns_none": lambda: None,
    "returns_text": lambda: "I am no transcript and no speech.",
    "returns_nothing": lambda: Transcript("", "en"),
    "returns_nan": lambda: Speech(np.full(4000, np.nan, np.float32), content.RATE_HZ),
}


def read_orders() -> Orders:
    """The campaign tells its engines by the environment."""
    environment = os.environ
    return Orders(int(environment["CHAOS_SEED"]), int(environment["CHAOS_JOBS"]), Path(environment["CHAOS_DONE"]))


def compute() -> None:
    time.sleep(random.uniform(0, LONGEST_S))


class ErraticStt:
    name, model = "erratic", "test"

    def __init__(self) -> None:
        self._orders = read_orders()

    def transcribe(self, samples: Samples, language: str | None) -> Transcript:
        compute()
        number = content.number_heard(samples.size)
        kind = self._orders.due("stt", number)
        if kind in _GARBAGE:
            garbage: Transcript = _GARBAGE[kind]()
            return garbage
        _misbehave(kind)
        return Transcript(content.transcript(number), language or "en")

    def transcribe_batch(
        self, recordings: Sequence[Samples], languages: Sequence[str | None]
    ) -> list[Transcript | CascadeError | None]:
        return [self._answer(*each) for each in zip(recordings, languages, strict=True)]

    def _answer(self, samples: Samples, language: str | None) -> Transcript | CascadeError | None:
        try:
            return self.transcribe(samples, language)
        except CascadeError as error:
            return error


class ErraticTts:
    name, model = "erratic", "test"

    def __init__(self) -> None:
        self._orders = read_orders()

    def synthesize(self, text: str, language: str | None, voice: str | None) -> Speech:
        compute()
        kind = self._orders.due("tts", content.number_named(text))
        if kind in _GARBAGE:
            garbage: Speech = _GARBAGE[kind]()
            return garbage
        _misbehave(kind)
        return Speech(content.sound(text), content.RATE_HZ)


class ErraticLlm:
    """Misbehaves as a third party's engine might; `chaos.model` does the same as a server."""

    name, model = "erratic", "test"

    def __init__(self) -> None:
        self._orders = read_orders()

    async def answer(self, prompt: Prompt) -> AsyncIterator[str]:
        await asyncio.sleep(random.uniform(0, LONGEST_S))
        number = content.number_named(prompt.text)
        whole = content.answer(number) if number is not None else "I heard nothing at all."
        match self._orders.due("llm", number):
            case "too_many":
                raise ModelUnavailable(retry_after_s=1)
            case "breaks":
                raise ValueError("As ordered.")
            case "refuses":
                raise ModelRefused
            case "hangs":
                await asyncio.sleep(3600)
            case "cut_off":
                yield whole[: len(whole) // 2]
                raise ModelUnavailable
            case "garbage":
                yield None  # type: ignore[misc]
            case "says_nothing":
                return
        for word in whole.split(" "):
            yield word + " "
            await asyncio.sleep(random.uniform(0, WORD_S))

    async def close(self) -> None:
        pass


def _misbehave(kind: str | None) -> None:
    match kind:
        case "raises":
            raise ValueError("As ordered.")
        case "no_speech":
            raise NoSpeech
        case "hangs":
            time.sleep(3600)
        case "exits":
            os._exit(3)
        case "segfaults":
            os.kill(os.getpid(), signal.SIGSEGV)
        case "leaks":
            _leak()


def _leak() -> None:
    """Until the campaign's out-of-memory killer comes."""
    leaked = []
    while True:
        leaked.append(np.ones(_LEAK_BYTES, np.uint8))
        time.sleep(0.02)


def load_stt(_settings: object) -> ErraticStt:
    return ErraticStt()


def load_llm(_settings: object) -> ErraticLlm:
    return ErraticLlm()


def load_tts(_settings: object) -> ErraticTts:
    return ErraticTts()
