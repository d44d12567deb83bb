"""Time from a recording to its transcript: the product's engine and faster-whisper's defaults, same weights."""

import argparse
import tempfile
from collections.abc import Collection, Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from rich.progress import track

from bench.contenders.recognizers import (
    CascadeRecognizer,
    RecognitionResult,
    RecognizerSetup,
    StockRecognizer,
    recognizer_process,
)
from bench.lib.recordings import silence, utterance
from bench.lib.results import record_figures
from bench.lib.statistics import ratios, spread
from bench.lib.table import print_table
from bench.lib.whisper_shapes import TOKENS_PER_S, make_whisper
from shared.worker.cpu import available_cpus
from stt_worker.engine import Samples

#: Length of the utterance that all contenders transcribe.
QUESTION_S = 5

LENGTHS_S = (1, 5, 10, 20, 30)

#: Each runs in one process, which may serve several contenders.
SETUPS = {
    "stock": RecognizerSetup(StockRecognizer),
    "stock, one thread per CPU": RecognizerSetup(StockRecognizer, threads=available_cpus()),
    "cascade": RecognizerSetup(CascadeRecognizer),
    "cascade, long window": RecognizerSetup(CascadeRecognizer, settings={"STT_SHORT_WINDOW": "off"}),
}

#: Setup and known language by contender. The others are compared with the first.
CONTENDERS: dict[str, tuple[str, str | None]] = {
    "stock": ("stock", None),
    "stock, one thread per CPU": ("stock, one thread per CPU", None),
    "stock, language known": ("stock", "en"),
    "cascade": ("cascade", None),
    "cascade, language known": ("cascade", "en"),
    "cascade, language known, long window": ("cascade, long window", "en"),
}

#: Contenders at lengths and shapes of which less is measured.
MAIN_CONTENDERS = ("stock", "stock, language known", "cascade", "cascade, language known")

#: Contenders where each call takes many seconds.
EXTREME_CONTENDERS = ("stock", "cascade, language known")

#: Maximum of rounds where a round takes long and no performance target depends on it.
MAX_LENGTH_ROUNDS = 3

#: Maximum of rounds where one call of stock takes three times as long as with `base`.
MAX_SMALL_ROUNDS = 2

#: Number of utterances that wait at the same time.
WAITING = 8

#: By contender, `elapsed_s` and `cpu_s` of each round.
Figures = dict[str, dict[str, list[float]]]


def measure_recognition(arguments: argparse.Namespace) -> None:
    rounds = arguments.rounds
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        root = Path(directory)
        shapes = {
            "tiny": _one_utterance(root, "tiny", QUESTION_S, MAIN_CONTENDERS, rounds),
            "base": _one_utterance(root, "base", QUESTION_S, list(CONTENDERS), rounds),
            "small": _one_utterance(root, "small", QUESTION_S, EXTREME_CONTENDERS, min(rounds, MAX_SMALL_ROUNDS)),
        }
        other_lengths = [length for length in LENGTHS_S if length != QUESTION_S]
        lengths = {
            length: _one_utterance(root, "base", length, MAIN_CONTENDERS, min(rounds, MAX_LENGTH_ROUNDS))
            for length in other_lengths
        }
        lengths[QUESTION_S] = shapes["base"]
        silent = _silence(root, rounds)
        waiting = _waiting(root, rounds)
    record_figures("recognition_by_length", {length: lengths[length] for length in LENGTHS_S})
    record_figures("recognition_by_shape", shapes)
    for shape, figures in shapes.items():
        measured_rounds = len(figures["stock"]["elapsed_s"])
        _print(f"A question of {QUESTION_S} s, Whisper's {shape} shape, int8 ({measured_rounds} rounds)", figures)
    _print_lengths(lengths)
    _print(f"{QUESTION_S} s of silence, base shape ({rounds} rounds)", silent)
    _print(f"{WAITING} waiting utterances of {QUESTION_S} s, tiny shape, language known ({rounds} rounds)", waiting)


def _one_utterance(root: Path, shape: str, length_s: int, names: Sequence[str], rounds: int) -> Figures:
    model = make_whisper(root, shape, TOKENS_PER_S * length_s)
    return _measure(model, names, utterance(length_s), rounds, f"{shape}, {length_s} s")


def _silence(root: Path, rounds: int) -> Figures:
    """Both get a model that emits a single word; a real one may emit many for silence."""
    return _measure(
        make_whisper(root, "base", 1),
        ("stock", "cascade"),
        silence(QUESTION_S),
        rounds,
        "silence",
        require_same_text=False,
    )


def _measure(
    model: Path, names: Sequence[str], samples: Samples, rounds: int, title: str, *, require_same_text: bool = True
) -> Figures:
    """All contenders take turns; the first round is a warm-up."""
    figures: Figures = {name: {"elapsed_s": [], "cpu_s": []} for name in names}
    with ExitStack() as stack:
        setups = {CONTENDERS[name][0] for name in names}
        processes = {setup: stack.enter_context(recognizer_process(SETUPS[setup], model)) for setup in sorted(setups)}
        for number in track(range(rounds + 1), f"recognition: {title}", transient=True):
            texts = set()
            for name in names:
                setup, language = CONTENDERS[name]
                result = processes[setup].transcribe([samples], language)
                texts.update(result.texts)
                if number:
                    _add(figures[name], result)
            if require_same_text:
                _require_one(texts)
    return figures


def _waiting(root: Path, rounds: int) -> Figures:
    recordings = [utterance(QUESTION_S, number) for number in range(WAITING)]
    model = make_whisper(root, "tiny", TOKENS_PER_S * QUESTION_S + 1)
    with recognizer_process(SETUPS["cascade"], model) as cascade:
        methods = {"one at a time": "transcribe_each", "in one batch": "transcribe_batch"}
        figures: Figures = {name: {"elapsed_s": [], "cpu_s": []} for name in methods}
        for number in track(range(rounds + 1), "recognition: waiting", transient=True):
            texts = set()
            for name, method in methods.items():
                result = cascade.transcribe(recordings, "en", method)
                texts.add(tuple(result.texts))
                if number:
                    _add(figures[name], result)
            _require_one(texts)
    return figures


def _require_one(texts: Collection[object]) -> None:
    """The weights fix the words, so a different text means that the contenders did different work."""
    if len(texts) > 1:
        raise RuntimeError(f"The contenders recognized different words: {texts}")


def _add(figures: dict[str, list[float]], result: RecognitionResult) -> None:
    figures["elapsed_s"].append(result.elapsed_s)
    figures["cpu_s"].append(result.cpu_s)


def _print(title: str, figures: Figures) -> None:
    """Print medians, and each contender's ratios to the first."""
    first, *_ = figures
    rows = [
        [
            name,
            f"{median(measured['elapsed_s']):.3f}",
            f"{median(measured['cpu_s']):.3f}",
            spread(ratios(figures[first]["elapsed_s"], measured["elapsed_s"]), ".1f"),
            spread(ratios(figures[first]["cpu_s"], measured["cpu_s"]), ".1f"),
        ]
        for name, measured in figures.items()
    ]
    print_table(title, ["", "s", "CPU s", f"times faster than {first}", "times less CPU"], rows)


def _print_lengths(lengths: dict[int, Figures]) -> None:
    rows = []
    for length_s in LENGTHS_S:
        elapsed_s = {name: figures["elapsed_s"] for name, figures in lengths[length_s].items()}
        rows.append(
            [
                f"{length_s} s",
                str(len(elapsed_s["stock"])),
                *(f"{median(elapsed_s[name]):.2f}" for name in MAIN_CONTENDERS),
                spread(ratios(elapsed_s["stock"], elapsed_s["cascade"]), ".1f"),
                spread(ratios(elapsed_s["stock"], elapsed_s["cascade, language known"]), ".1f"),
            ]
        )
    heads = ["utterance", "rounds", "stock, s", "known", "cascade, s", "known", "stock to cascade", "to cascade, known"]
    print_table("Time to transcript by the utterance's length, base shape; `known`: the language is named", heads, rows)
