"""Speech recognizers, each loaded in a process of its own."""

import multiprocessing
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from stt_worker.engine import Samples

#: After a call the recognizer's threads spin for a while in case of more work; the next call waits until they sleep.
_SETTLE_S = 0.25


@dataclass(frozen=True)
class RecognitionResult:
    """Time and texts of one call."""

    elapsed_s: float
    cpu_s: float
    texts: list[str]
    """Empty where no speech was detected."""


class Recognizer(Protocol):
    """A recognizer whose methods are called by name. All have at least this one."""

    def transcribe_each(self, recordings: Sequence[Samples], language: str | None) -> list[str]: ...


class CascadeRecognizer:
    """The product's engine, with the settings in its environment."""

    def __init__(self, model: Path, _threads: int) -> None:
        from stt_worker.engines.faster_whisper.engine import load
        from stt_worker.settings import SttSettings

        self.engine: Any = load(SttSettings(stt_model=str(model), stt_device="cpu"))

    def transcribe_each(self, recordings: Sequence[Samples], language: str | None) -> list[str]:
        from shared.errors import NoSpeech

        texts = []
        for samples in recordings:
            try:
                texts.append(self.engine.transcribe(samples, language).text)
            except NoSpeech:
                texts.append("")
        return texts

    def transcribe_batch(self, recordings: Sequence[Samples], language: str | None) -> list[str]:
        from stt_worker.engine import Transcript

        results = self.engine.transcribe_batch(list(recordings), [language] * len(recordings))
        return [
            result.text if isinstance(result, Transcript) else self.transcribe_each([samples], language)[0]
            for samples, result in zip(recordings, results, strict=True)
        ]


class StockRecognizer:
    """faster-whisper as at the beginning of its documentation: int8 on a CPU, and defaults for everything else."""

    def __init__(self, model: Path, threads: int) -> None:
        from faster_whisper import WhisperModel

        self.model: Any = WhisperModel(str(model), device="cpu", compute_type="int8", cpu_threads=threads)

    def transcribe_each(self, recordings: Sequence[Samples], language: str | None) -> list[str]:
        texts = []
        for samples in recordings:
            segments, _ = self.model.transcribe(samples, language=language)
            texts.append("".join(segment.text for segment in segments).strip())
        return texts


@dataclass(frozen=True)
class RecognizerSetup:
    """The class of a recognizer and the options to load it with."""

    recognizer: type[CascadeRecognizer] | type[StockRecognizer]
    threads: int = 0
    """0 leaves the number to the recognizer."""
    settings: Mapping[str, str] = field(default_factory=dict)
    """Environment variables."""


class RecognizerProcess:
    """A process with a loaded recognizer."""

    def __init__(self, pool: ProcessPoolExecutor) -> None:
        self._pool = pool

    def transcribe(
        self, recordings: Sequence[Samples], language: str | None = None, method: str = "transcribe_each"
    ) -> RecognitionResult:
        result = self._pool.submit(_transcribe, method, recordings, language).result()
        time.sleep(_SETTLE_S)
        return result


@contextmanager
def recognizer_process(setup: RecognizerSetup, model: Path) -> Iterator[RecognizerProcess]:
    """A process with `model` loaded, until the block is left."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, context, initializer=_load, initargs=(setup, model)) as pool:
        yield RecognizerProcess(pool)


# The code below runs in the recognizer's process.

_recognizer: Recognizer


def _load(setup: RecognizerSetup, model: Path) -> None:
    global _recognizer
    os.environ.update(setup.settings)
    _recognizer = setup.recognizer(model, setup.threads)


def _transcribe(method: str, recordings: Sequence[Samples], language: str | None) -> RecognitionResult:
    started, cpu_before_s = time.perf_counter(), time.process_time()
    texts = getattr(_recognizer, method)(recordings, language)
    return RecognitionResult(time.perf_counter() - started, time.process_time() - cpu_before_s, texts)
