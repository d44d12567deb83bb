"""Engines that take short random times, and misbehave as assigned."""

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
from chaos.misbehaviors import Misbehaviors
from llm_worker.engine import Prompt
from shared.errors import CascadeError, ModelRefused, ModelUnavailable, NoSpeech
from stt_worker.engine import Samples, Transcript
from tts_worker.engine import Speech

#: The longest that an engine computes when it works.
MAX_COMPUTE_S = 0.3

#: The longest that a language model pauses between two words.
MAX_WORD_PAUSE_S = 0.06

_LEAK_BYTES = 50_000_000

_INVALID_RESULTS: dict[str, Callable[[], Any]] = {
    "returns_none": lambda: None,
    "returns_text": lambda: "neither a transcript nor speech",
    "returns_empty": lambda: Transcript("", "en"),
    "returns_nan": lambda: Speech(np.full(4000, np.nan, np.float32), content.RATE_HZ),
}


def read_misbehaviors() -> Misbehaviors:
    """Read the assignment from the environment variables that the campaign sets."""
    environment = os.environ
    markers = Path(environment["CHAOS_MARKERS"])
    return Misbehaviors(int(environment["CHAOS_SEED"]), int(environment["CHAOS_JOBS"]), markers)


def compute() -> None:
    time.sleep(random.uniform(0, MAX_COMPUTE_S))


class ErraticStt:
    name = "erratic"
    model = "test"

    def __init__(self) -> None:
        self._misbehaviors = read_misbehaviors()

    def transcribe(self, samples: Samples, language: str | None) -> Transcript:
        compute()
        number = content.number_from_samples(samples.size)
        kind = self._misbehaviors.take("stt", number)
        if kind in _INVALID_RESULTS:
            invalid: Transcript = _INVALID_RESULTS[kind]()
            return invalid
        _misbehave(kind)
        return Transcript(content.transcript(number), language or "en")

    def transcribe_batch(
        self, recordings: Sequence[Samples], languages: Sequence[str | None]
    ) -> list[Transcript | CascadeError | None]:
        return [self._transcribe_or_error(*recording) for recording in zip(recordings, languages, strict=True)]

    def _transcribe_or_error(self, samples: Samples, language: str | None) -> Transcript | CascadeError | None:
        try:
            return self.transcribe(samples, language)
        except CascadeError as error:
            return error


class ErraticTts:
    name = "erratic"
    model = "test"

    def __init__(self) -> None:
        self._misbehaviors = read_misbehaviors()

    def synthesize(self, text: str, language: str | None, voice: str | None) -> Speech:
        compute()
        kind = self._misbehaviors.take("tts", content.number_from_text(text))
        if kind in _INVALID_RESULTS:
            invalid: Speech = _INVALID_RESULTS[kind]()
            return invalid
        _misbehave(kind)
        return Speech(content.speech_samples(text), content.RATE_HZ)


class ErraticLlm:
    """An LLM engine that misbehaves in its worker's process; `chaos.llm_server` does the same on a server."""

    name = "erratic"
    model = "test"

    def __init__(self) -> None:
        self._misbehaviors = read_misbehaviors()

    async def answer(self, prompt: Prompt) -> AsyncIterator[str]:
        await asyncio.sleep(random.uniform(0, MAX_COMPUTE_S))
        number = content.number_from_text(prompt.text)
        text = content.answer(number) if number is not None else "The transcript names no recording."
        match self._misbehaviors.take("llm", number):
            case "rate_limits":
                raise ModelUnavailable(retry_after_s=1)
            case "fails":
                raise ValueError("Misbehaving as assigned.")
            case "rejects_key":
                raise ModelRefused
            case "hangs":
                await asyncio.sleep(3600)
            case "breaks_off":
                yield text[: len(text) // 2]
                raise ModelUnavailable
            case "returns_garbage":
                yield None  # type: ignore[misc]
            case "returns_empty":
                return
        for word in text.split(" "):
            yield word + " "
            await asyncio.sleep(random.uniform(0, MAX_WORD_PAUSE_S))

    async def close(self) -> None:
        pass


def _misbehave(kind: str | None) -> None:
    match kind:
        case "raises":
            raise ValueError("Misbehaving as assigned.")
        case "raises_no_speech":
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
    """Allocate memory until the campaign's out-of-memory killer ends the process."""
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
