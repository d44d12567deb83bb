"""The product's engines in one process, without queue, workers or volume: a recording in, a WAV file out, the next."""

import multiprocessing
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.contenders.scripted_llm import answer


@dataclass(frozen=True)
class Spoken:
    """What the turns took, and what was heard in them."""

    elapsed_s: float
    cpu_s: float
    transcripts: list[str]


class BareEngines:
    """In their process, loaded."""

    def __init__(self, pool: ProcessPoolExecutor) -> None:
        self._pool = pool

    def speak(self, recordings: Sequence[Path], to: Path, together: int) -> Spoken:
        """A turn of each recording, so many of them recognized `together`."""
        return self._pool.submit(_speak, recordings, to, together).result()


@contextmanager
def bare_engines(settings: Mapping[str, str]) -> Iterator[BareEngines]:
    """With the workers' variables."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, context, initializer=_load, initargs=(dict(settings),)) as pool:
        yield BareEngines(pool)


# What follows runs in the engines' process.

_stt: Any
_tts: Any


def _load(settings: dict[str, str]) -> None:
    global _stt, _tts
    os.environ.update(settings)
    from stt_worker.engines.faster_whisper import engine as faster_whisper
    from stt_worker.settings import SttSettings
    from tts_worker.engines.piper import engine as piper
    from tts_worker.settings import TtsSettings

    _stt, _tts = faster_whisper.load(SttSettings()), piper.load(TtsSettings())


def _speak(recordings: Sequence[Path], to: Path, together: int) -> Spoken:
    from stt_worker.audio import decode
    from tts_worker.wav import encode

    started, used = time.perf_counter(), time.process_time()
    language, transcripts = os.environ["STT_LANGUAGE"], []
    for start in range(0, len(recordings), together):
        samples = [decode(path, max_audio_s=600) for path in recordings[start : start + together]]
        if len(samples) == 1:
            heard = [_stt.transcribe(samples[0], language)]
        else:
            heard = _stt.transcribe_batch(samples, [language] * len(samples))
        transcripts += [each.text for each in heard]
        for number in range(start, start + len(samples)):
            (to / f"bare-{number}.wav").write_bytes(encode(_tts.synthesize(answer(), language, None)))
    return Spoken(time.perf_counter() - started, time.process_time() - used, transcripts)
