"""Turns per minute with all jobs queued beforehand: cascade, its bare engines, a straightforward pipeline."""

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
from rich.progress import track

from bench.lib.pipelines import (
    Environment,
    RunTurns,
    bare_engines_pipeline,
    cascade_pipeline,
    straightforward_pipeline,
)
from bench.lib.recordings import utterance
from bench.lib.redis_server import running_redis
from bench.lib.statistics import ratios, spread
from bench.lib.table import print_table
from bench.lib.whisper_shapes import TOKENS_PER_S, make_whisper
from stt_worker.engine import SAMPLE_RATE_HZ
from tts_worker.engine import Speech
from tts_worker.wav import encode

QUESTION_S = 5

#: Numbers of cores to pin all processes to, including the benchmark's own, which idles during a measurement.
CORES = (1, 2)

#: The product's STT worker transcribes at most this many at a time.
BATCH = 8

VOICE = Path(__file__).parents[2] / "tests" / "speech_models" / "tiny-piper" / "en_US-fixture-low.onnx"

#: Until the threads of the last contender have stopped spinning.
SETTLE_S = 0.5


@dataclass
class Contender:
    """A pipeline and its measurements."""

    title: str
    start: Callable[[Environment], AbstractContextManager[RunTurns]]
    turns: int
    warm_up_turns: int
    """Turns that are not counted, after each start."""
    is_idle_at_rest: bool = True
    """True if the pipeline uses no CPU while another is measured. One that does is restarted for each measurement."""
    turns_per_min: list[float] = field(default_factory=list)
    cpu_s: list[float] = field(default_factory=list)
    """Per turn."""


def _contenders() -> list[Contender]:
    """Slow contenders get fewer turns, since their rate does not depend on the number."""
    return [
        # The first question is claimed alone, before the others are queued; the rest fills whole batches.
        Contender("cascade", cascade_pipeline, 1 + 3 * BATCH, BATCH, is_idle_at_rest=False),
        Contender("bare engines", bare_engines_pipeline, 12, 2),
        Contender(
            f"bare engines, {BATCH} in one batch", partial(bare_engines_pipeline, batch_size=BATCH), 2 * BATCH, BATCH
        ),
        Contender("straightforward", straightforward_pipeline, 3, 1),
    ]


def measure_saturation(arguments: argparse.Namespace) -> None:
    if not hasattr(os, "sched_setaffinity"):
        print("Saturation is not measured: this system cannot pin a process to its cores.\n")
        return
    usable = sorted(os.sched_getaffinity(0))
    # In the working directory, since /tmp may be a RAM disk.
    with tempfile.TemporaryDirectory(prefix=".bench-", dir=Path.cwd()) as directory:
        root = Path(directory)
        model = make_whisper(root, "base", TOKENS_PER_S * QUESTION_S)
        recordings = _recordings(root)
        for count in CORES:
            if count <= len(usable):
                with _pinned(usable[:count]):
                    contenders = _measure(root / f"{count}", model, recordings, arguments.rounds)
                _print(contenders, count, arguments.rounds)


@contextmanager
def _pinned(cores: list[int]) -> Iterator[None]:
    """Pin this process to the cores, and with it the processes that it starts."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _measure(root: Path, model: Path, recordings: list[Path], rounds: int) -> list[Contender]:
    """All contenders take turns, so that other load on the machine affects them alike."""
    contenders = _contenders()
    volume = root / "volume"
    volume.mkdir(parents=True)
    with ExitStack() as stack:
        redis = stack.enter_context(running_redis(root))
        settings = {
            "REDIS_URL": redis.url,
            "DATA_DIR": str(volume),
            "STT_MODEL": str(model),
            "STT_DEVICE": "cpu",
            "STT_LANGUAGE": "en",
            "TTS_VOICE": str(VOICE),
            "TTS_CACHE_MB": "0",
        }
        environment = Environment(redis, volume, settings)

        @contextmanager
        def warmed_up(contender: Contender) -> Iterator[RunTurns]:
            with contender.start(environment) as run_turns:
                run_turns(_repeated(recordings, contender.warm_up_turns))
                yield run_turns

        started = {
            contender.title: stack.enter_context(warmed_up(contender))
            for contender in contenders
            if contender.is_idle_at_rest
        }
        transcripts: set[str] = set()
        for _ in track(range(rounds), f"saturation: {root.name}", transient=True):
            for contender in contenders:
                is_started = contender.is_idle_at_rest
                with nullcontext(started[contender.title]) if is_started else warmed_up(contender) as run_turns:
                    transcripts.update(_measure_round(contender, run_turns, recordings))
    if len(transcripts) > 1:
        raise RuntimeError(f"The contenders recognized different words: {transcripts}")
    return contenders


def _measure_round(contender: Contender, run_turns: RunTurns, recordings: list[Path]) -> list[str]:
    """Measure one round and return its transcripts."""
    time.sleep(SETTLE_S)
    result = run_turns(_repeated(recordings, contender.turns))
    contender.turns_per_min.append(60 * contender.turns / result.elapsed_s)
    contender.cpu_s.append(result.cpu_s / contender.turns)
    return result.transcripts


def _repeated(recordings: list[Path], count: int) -> list[Path]:
    return [recordings[number % len(recordings)] for number in range(count)]


def _recordings(root: Path) -> list[Path]:
    """Write questions that each start with another of the tests' recordings."""
    paths = []
    for number in range(4):
        path = root / f"question-{number}.wav"
        pcm = np.rint(utterance(QUESTION_S, number) * 32767).astype(np.int16)
        path.write_bytes(encode(Speech(pcm, SAMPLE_RATE_HZ)))
        paths.append(path)
    return paths


def _print(contenders: list[Contender], cores: int, rounds: int) -> None:
    on_cores = f"on {cores} core{'s' if cores > 1 else ''}"
    rows = [
        [contender.title, spread(contender.turns_per_min, ".0f"), spread(contender.cpu_s, ".3f")]
        for contender in contenders
    ]
    title = f"Turns of {QUESTION_S} s {on_cores}, base shape, all queued beforehand ({rounds} rounds)"
    print_table(title, ["", "turns per minute", "CPU s per turn"], rows)
    own, *others = contenders
    ratio_rows = [
        [
            f"to {other.title}",
            spread(ratios(own.turns_per_min, other.turns_per_min)),
            spread(ratios(other.cpu_s, own.cpu_s)),
        ]
        for other in others
    ]
    print_table(f"Ratios of {own.title} {on_cores}", ["", "turns per minute", "turns per CPU second"], ratio_rows)
