"""Turns a minute while all jobs wait already: the whole stack beside its engines alone and the straightforward way."""

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

from bench.lib.pipelines import Place, Speak, cascade, engines_alone, straightforward_pipeline
from bench.lib.recordings import utterance
from bench.lib.redis_server import running_redis
from bench.lib.statistics import ratios, spread
from bench.lib.table import print_table
from bench.lib.whisper_shapes import TOKENS_PER_S, make_whisper
from stt_worker.engine import SAMPLE_RATE_HZ
from tts_worker.engine import Speech
from tts_worker.wav import encode

QUESTION_S = 5

#: How many cores all have, the benchmark's own process included, which rests meanwhile.
CORES = (1, 2)

#: As many as the product's STT worker takes at a time.
BATCH = 8

VOICE = Path(__file__).parents[2] / "tests" / "speech_models" / "tiny-piper" / "en_US-fixture-low.onnx"

#: Until the threads of those that have computed spin no more.
SETTLE_S = 0.5


@dataclass
class Contender:
    title: str
    start: Callable[[Place], AbstractContextManager[Speak]]
    turns: int
    warm_up_turns: int
    """Before the first that counts, each time it is started."""
    rests: bool = True
    """Whether it takes nothing while others have their turn. One that does is started anew for each of its own."""
    turns_per_min: list[float] = field(default_factory=list)
    cpu_s: list[float] = field(default_factory=list)
    """Of a turn."""


def _contenders() -> list[Contender]:
    """The slow get fewer turns, since their rate does not depend on how many there are."""
    return [
        # Its first question is on its way before the others have come.
        Contender("cascade", cascade, 1 + 3 * BATCH, BATCH, rests=False),
        Contender("bare engines", engines_alone, 12, 2),
        Contender(f"bare, {BATCH} heard together", partial(engines_alone, together=BATCH), 2 * BATCH, BATCH),
        Contender("straightforward", straightforward_pipeline, 3, 1),
    ]


def measure_saturation(arguments: argparse.Namespace) -> None:
    if not hasattr(os, "sched_setaffinity"):
        print("Saturation is not measured: this system cannot pin a process to its cores.\n")
        return
    usable = sorted(os.sched_getaffinity(0))
    # Below the working directory, since /tmp may be no disk at all.
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
    """This process, and those that are started meanwhile."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _measure(root: Path, model: Path, recordings: list[Path], rounds: int) -> list[Contender]:
    """All take turns, so that whatever else the machine does hits them alike."""
    contenders, volume = _contenders(), root / "volume"
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
        place = Place(redis, volume, settings)

        @contextmanager
        def warm(contender: Contender) -> Iterator[Speak]:
            with contender.start(place) as speak:
                speak(_repeated(recordings, contender.warm_up_turns))
                yield speak

        up = {each.title: stack.enter_context(warm(each)) for each in contenders if each.rests}
        transcripts: set[str] = set()
        for _ in track(range(rounds), f"saturation: {root.name}", transient=True):
            for each in contenders:
                with nullcontext(up[each.title]) if each.rests else warm(each) as speak:
                    transcripts.update(_turn(each, speak, recordings))
    if len(transcripts) > 1:
        raise RuntimeError(f"They heard different words: {transcripts}")
    return contenders


def _turn(contender: Contender, speak: Speak, recordings: list[Path]) -> list[str]:
    """What was heard."""
    time.sleep(SETTLE_S)
    spoken = speak(_repeated(recordings, contender.turns))
    contender.turns_per_min.append(60 * contender.turns / spoken.elapsed_s)
    contender.cpu_s.append(spoken.cpu_s / contender.turns)
    return spoken.transcripts


def _repeated(recordings: list[Path], count: int) -> list[Path]:
    return [recordings[number % len(recordings)] for number in range(count)]


def _recordings(root: Path) -> list[Path]:
    """One that begins with each of the tests' recordings."""
    paths = []
    for beginning in range(4):
        path = root / f"question-{beginning}.wav"
        pcm = np.rint(utterance(QUESTION_S, beginning) * 32767).astype(np.int16)
        path.write_bytes(encode(Speech(pcm, SAMPLE_RATE_HZ)))
        paths.append(path)
    return paths


def _print(contenders: list[Contender], cores: int, rounds: int) -> None:
    named = f"{cores} core{'s' if cores > 1 else ''}"
    rows = [[each.title, spread(each.turns_per_min, ".0f"), spread(each.cpu_s, ".3f")] for each in contenders]
    title = f"Turns of {QUESTION_S} s on {named}, base shape, all wait already ({rounds} rounds)"
    print_table(title, ["", "turns a minute", "CPU s a turn"], rows)
    own, *others = contenders
    shares = [
        [
            f"to {other.title}",
            spread(ratios(own.turns_per_min, other.turns_per_min)),
            spread(ratios(other.cpu_s, own.cpu_s)),
        ]
        for other in others
    ]
    print_table(f"What {own.title} does of that on {named}", ["", "turns a minute", "turns a CPU second"], shares)
