"""Engines with a settable delay, so that a test can act in the middle of a stage."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import numpy as np

from llm_worker.engine import Prompt
from shared.errors import CascadeError
from stt_worker.engine import Samples, Transcript
from tts_worker.engine import Speech


def delay_s(stage: str) -> float:
    """The delay that a test has written to <DATA_DIR>/delay-<stage>; read for each task, so that it can change."""
    file = Path(os.environ["DATA_DIR"]) / f"delay-{stage}"
    return float(file.read_text()) if file.exists() else 0.0


class SlowStt:
    name = "slow"
    model = "test"

    def transcribe(self, samples: Samples, language: str | None) -> Transcript:
        time.sleep(delay_s("stt"))
        return Transcript(f"I heard {samples.size} samples.", language or "en")


class SlowLlm:
    name = "slow"
    model = "test"

    async def answer(self, prompt: Prompt) -> AsyncIterator[str]:
        await asyncio.sleep(delay_s("llm"))
        if prompt.system == "twelve sentences":
            yield " ".join(f"This is sentence {number} of the answer." for number in range(12))
            return
        yield f"You said: {prompt.text} "
        for turn in prompt.history:
            yield f"Before, you said: {turn.user} "
        yield "This is the second sentence of the answer. And this is the third one."

    async def close(self) -> None:
        pass


class SlowTts:
    name = "slow"
    model = "test"

    def synthesize(self, text: str, language: str | None, voice: str | None) -> Speech:
        time.sleep(delay_s("tts"))
        return Speech(np.full(len(text) * 100, 1000, np.int16), 16_000)


def load_stt(_settings: object) -> SlowStt:
    return SlowStt()


def load_llm(_settings: object) -> SlowLlm:
    return SlowLlm()


def load_tts(_settings: object) -> SlowTts:
    return SlowTts()


class SlowBatchStt(SlowStt):
    """An STT engine that takes as long for a batch as for one recording."""

    name = "slow-batch"

    def transcribe_batch(
        self, recordings: Sequence[Samples], languages: Sequence[str | None]
    ) -> list[Transcript | CascadeError | None]:
        return [self.transcribe(recordings[0], languages[0])] * len(recordings)


def load_batch_stt(_settings: object) -> SlowBatchStt:
    return SlowBatchStt()
