"""The product's engines in one process, without queue, workers or volume: recording in, WAV file out, one by one or in
batches."""

import multiprocessing
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.contenders.scripted_llm import next_answer


@dataclass(frozen=True)
class TurnsResult:
    """Time and transcripts of several turns."""

    elapsed_s: float
    cpu_s: float
    transcripts: list[str]


class BareEngines:
    """The process with the loaded engines."""

    def __init__(self, pool: ProcessPoolExecutor) -> None:
        self._pool = pool

    def run_turns(self, recordings: Sequence[Path], output: Path, batch_size: int) -> TurnsResult:
        """One turn per recording, transcribed `batch_size` at a time; the answers go to the folder `output`."""
        return self._pool.submit(_run_turns, recordings, output, batch_size).result()


@contextmanager
def bare_engines(settings: Mapping[str, str]) -> Iterator[BareEngines]:
    """Engines with the workers' environment variables."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, context, initializer=_load, initargs=(dict(settings),)) as pool:
        yield BareEngines(pool)


# The code below runs in the engines' process.

_stt: Any
_tts: Any


def _load(settings: dict[str, str]) -> None:
    global _stt, _tts
    os.environ.update(settings)
    from stt_worker.engines.faster_whisper import engine as faster_whisper
    from stt_worker.settings import SttSettings
    from tts_worker.engines.piper import engine as piper
    from tts_worker.settings import TtsSettings

    _stt = faster_whisper.load(SttSettings())
    _tts = piper.load(TtsSettings())


def _run_turns(recordings: Sequence[Path], output: Path, batch_size: int) -> TurnsResult:
    from stt_worker.audio import decode
    from tts_worker.wav import encode

    started, cpu_before_s = time.perf_counter(), time.process_time()
    language = os.environ["STT_LANGUAGE"]
    texts = []
    for start in range(0, len(recordings), batch_size):
        samples = [decode(path, max_audio_s=600) for path in recordings[start : start + batch_size]]
        if len(samples) == 1:
            transcripts = [_stt.transcribe(samples[0], language)]
        else:
            transcripts = _stt.transcribe_batch(samples, [language] * len(samples))
        texts += [transcript.text for transcript in transcripts]
        for number in range(start, start + len(samples)):
            (output / f"bare-{number}.wav").write_bytes(encode(_tts.synthesize(next_answer(), language, None)))
    return TurnsResult(time.perf_counter() - started, time.process_time() - cpu_before_s, texts)
