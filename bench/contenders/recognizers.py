"""Speech recognizers, each loaded in a process of its own. The product's engine is called here and nowhere else."""

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

#: Threads of a recognizer that has computed spin on for a while, in the hope of more; the next waits until they rest.
_SETTLE_S = 0.25


@dataclass(frozen=True)
class Heard:
    """What one call took, and what came of it."""

    elapsed_s: float
    cpu_s: float
    texts: list[str]
    """Empty where nobody was heard."""


class Recognizer(Protocol):
    """Called by the name of a method; each has this one."""

    def one_by_one(self, recordings: Sequence[Samples], language: str | None) -> list[str]: ...


class Cascade:
    """The product's engine, with the settings of its environment."""

    def __init__(self, model: Path, _threads: int) -> None:
        from stt_worker.engines.faster_whisper.engine import load
        from stt_worker.settings import SttSettings

        self.engine: Any = load(SttSettings(stt_model=str(model), stt_device="cpu"))

    def one_by_one(self, recordings: Sequence[Samples], language: str | None) -> list[str]:
        from shared.errors import NoSpeech

        texts = []
        for samples in recordings:
            try:
                texts.append(self.engine.transcribe(samples, language).text)
            except NoSpeech:
                texts.append("")
        return texts

    def together(self, recordings: Sequence[Samples], language: str | None) -> list[str]:
        from stt_worker.engine import Transcript

        heard = self.engine.transcribe_batch(list(recordings), [language] * len(recordings))
        return [
            each.text if isinstance(each, Transcript) else self.one_by_one([samples], language)[0]
            for samples, each in zip(recordings, heard, strict=True)
        ]


class Stock:
    """faster-whisper as its documentation begins: int8 on a CPU, and every other default."""

    def __init__(self, model: Path, threads: int) -> None:
        from faster_whisper import WhisperModel

        self.model: Any = WhisperModel(str(model), device="cpu", compute_type="int8", cpu_threads=threads)

    def one_by_one(self, recordings: Sequence[Samples], language: str | None) -> list[str]:
        texts = []
        for samples in recordings:
            segments, _ = self.model.transcribe(samples, language=language)
            texts.append("".join(segment.text for segment in segments).strip())
        return texts


@dataclass(frozen=True)
class Kind:
    """How a recognizer is loaded."""

    recognizer: type[Cascade] | type[Stock]
    threads: int = 0
    """0 leaves it to the recognizer."""
    settings: Mapping[str, str] = field(default_factory=dict)
    """Environment variables."""


class Recognition:
    """A recognizer in its process."""

    def __init__(self, pool: ProcessPoolExecutor) -> None:
        self._pool = pool

    def hear(self, recordings: Sequence[Samples], language: str | None = None, method: str = "one_by_one") -> Heard:
        heard = self._pool.submit(_hear, method, recordings, language).result()
        time.sleep(_SETTLE_S)
        return heard


@contextmanager
def recognizing(kind: Kind, model: Path) -> Iterator[Recognition]:
    """`kind` with `model` loaded, until it is left."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, context, initializer=_load, initargs=(kind, model)) as pool:
        yield Recognition(pool)


# What follows runs in the recognizer's process.

_recognizer: Recognizer


def _load(kind: Kind, model: Path) -> None:
    global _recognizer
    os.environ.update(kind.settings)
    _recognizer = kind.recognizer(model, kind.threads)


def _hear(method: str, recordings: Sequence[Samples], language: str | None) -> Heard:
    started, used = time.perf_counter(), time.process_time()
    texts = getattr(_recognizer, method)(recordings, language)
    return Heard(time.perf_counter() - started, time.process_time() - used, texts)
