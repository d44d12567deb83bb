"""Engines that take no time, so that only the pipeline's own time remains. Workers find them by name, as any engine."""

from collections.abc import AsyncIterator

import numpy as np

from llm_worker.engine import Prompt
from stt_worker.engine import Samples, Transcript
from tts_worker.engine import Speech

SPEECH = Speech(np.full(1600, 1000, np.int16), 16_000)


class NullStt:
    name = "null"
    model = ""

    def transcribe(self, _samples: Samples, language: str | None) -> Transcript:
        return Transcript("How long has tea been drunk?", language or "en")


class NullLlm:
    name = "null"
    model = ""

    async def answer(self, _prompt: Prompt) -> AsyncIterator[str]:
        yield "For a very long time indeed, "
        yield "and no one knows who began."

    async def close(self) -> None:
        pass


class NullTts:
    name = "null"
    model = ""

    def synthesize(self, _text: str, _language: str | None, _voice: str | None) -> Speech:
        return SPEECH


def load_stt(_settings: object) -> NullStt:
    return NullStt()


def load_llm(_settings: object) -> NullLlm:
    return NullLlm()


def load_tts(_settings: object) -> NullTts:
    return NullTts()
