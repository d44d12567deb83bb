"""How soon the words of a recording are known: the product's engine beside faster-whisper's defaults, same weights."""

import argparse
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from rich.progress import track

from bench.contenders.recognizers import Cascade, Heard, Kind, Stock, recognizing
from bench.lib.recordings import silence, utterance
from bench.lib.results import keep
from bench.lib.statistics import ratios, spread
from bench.lib.table import print_table
from bench.lib.whisper_shapes import TOKENS_PER_S, make_whisper
from shared.worker.cpu import available_cpus
from stt_worker.engine import Samples

#: The utterance of which most is told.
QUESTION_S = 5

LENGTHS_S = (1, 5, 10, 20, 30)

KINDS = {
    "stock": Kind(Stock),
    "stock, a thread a CPU": Kind(Stock, threads=available_cpus()),
    "cascade": Kind(Cascade),
    "cascade, long window": Kind(Cascade, settings={"STT_SHORT_WINDOW": "off"}),
}

#: Who hears, and whether it is told the language. The first is what the others are held against.
CONTENDERS: dict[str, tuple[str, str | None]] = {
    "stock": ("stock", None),
    "stock, a thread a CPU": ("stock, a thread a CPU", None),
    "stock, language known": ("stock", "en"),
    "cascade": ("cascade", None),
    "cascade, language known": ("cascade", "en"),
    "cascade, language known, long window": ("cascade, long window", "en"),
}

#: Where less is told.
FEW = ("stock", "stock, language known", "cascade", "cascade, language known")

#: And where each call takes many seconds.
FEWEST = ("stock", "cascade, language known")

#: Where much time is spent and no aim depends on it.
FEW_ROUNDS = 3

#: And where one call of stock takes three times as long as with `base`.
FEWEST_ROUNDS = 2

#: How many utterances wait at once.
WAITING = 8

#: Of each contender: `elapsed_s` and `cpu_s`, a figure a round.
Figures = dict[str, dict[str, list[float]]]


def measure_recognition(arguments: argparse.Namespace) -> None:
    rounds = arguments.rounds
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        root = Path(directory)
        shapes = {
            "tiny": _one_utterance(root, "tiny", QUESTION_S, FEW, rounds),
            "base": _one_utterance(root, "base", QUESTION_S, list(CONTENDERS), rounds),
            "small": _one_utterance(root, "small", QUESTION_S, FEWEST, min(rounds, FEWEST_ROUNDS)),
        }
        others = [length for length in LENGTHS_S if length != QUESTION_S]
        lengths = {length: _one_utterance(root, "base", length, FEW, min(rounds, FEW_ROUNDS)) for length in others}
        lengths[QUESTION_S] = shapes["base"]
        nobody = _silence(root, rounds)
        waiting = _waiting(root, rounds)
    keep("recognition_by_length", {length: lengths[length] for length in LENGTHS_S})
    keep("recognition_by_shape", shapes)
    for shape, figures in shapes.items():
        taken = len(figures["stock"]["elapsed_s"])
        _print(f"A question of {QUESTION_S} s, Whisper's {shape} shape, int8 ({taken} rounds)", figures)
    _print_lengths(lengths)
    _print(f"{QUESTION_S} s in which nobody speaks, base shape ({rounds} rounds)", nobody)
    _print(f"{WAITING} utterances of {QUESTION_S} s that wait, tiny shape, language known ({rounds} rounds)", waiting)


def _one_utterance(root: Path, shape: str, length_s: int, names: Sequence[str], rounds: int) -> Figures:
    model = make_whisper(root, shape, TOKENS_PER_S * length_s)
    return _turns(model, names, utterance(length_s), rounds, f"{shape}, {length_s} s")


def _silence(root: Path, rounds: int) -> Figures:
    """The stock library gets a model that says a single word for it, where a real one may say many."""
    return _turns(
        make_whisper(root, "base", 1), ("stock", "cascade"), silence(QUESTION_S), rounds, "silence", alike=False
    )


def _turns(
    model: Path, names: Sequence[str], samples: Samples, rounds: int, title: str, *, alike: bool = True
) -> Figures:
    """All take turns; the first round warms up. With `alike`, all have to hear the same."""
    figures: Figures = {name: {"elapsed_s": [], "cpu_s": []} for name in names}
    with ExitStack() as stack:
        kinds = {CONTENDERS[name][0] for name in names}
        loaded = {kind: stack.enter_context(recognizing(KINDS[kind], model)) for kind in sorted(kinds)}
        for number in track(range(rounds + 1), f"recognition: {title}", transient=True):
            texts = set()
            for name in names:
                kind, language = CONTENDERS[name]
                heard = loaded[kind].hear([samples], language)
                texts.update(heard.texts)
                if number:
                    _note(figures[name], heard)
            if alike and len(texts) > 1:
                raise RuntimeError(f"They heard different words: {texts}")
    return figures


def _waiting(root: Path, rounds: int) -> Figures:
    recordings = [utterance(QUESTION_S, beginning) for beginning in range(WAITING)]
    model = make_whisper(root, "tiny", TOKENS_PER_S * QUESTION_S + 1)
    with recognizing(KINDS["cascade"], model) as cascade:
        methods = {"one at a time": "one_by_one", "together": "together"}
        figures: Figures = {name: {"elapsed_s": [], "cpu_s": []} for name in methods}
        for number in track(range(rounds + 1), "recognition: waiting", transient=True):
            texts = set()
            for name, method in methods.items():
                heard = cascade.hear(recordings, "en", method)
                texts.add(tuple(heard.texts))
                if number:
                    _note(figures[name], heard)
            if len(texts) > 1:
                raise RuntimeError(f"They heard different words: {texts}")
    return figures


def _note(figures: dict[str, list[float]], heard: Heard) -> None:
    figures["elapsed_s"].append(heard.elapsed_s)
    figures["cpu_s"].append(heard.cpu_s)


def _print(title: str, figures: Figures) -> None:
    """The ratios tell how many times sooner than the first each is."""
    first, *_ = figures
    rows = [
        [
            name,
            f"{median(each['elapsed_s']):.3f}",
            f"{median(each['cpu_s']):.3f}",
            spread(ratios(figures[first]["elapsed_s"], each["elapsed_s"]), ".1f"),
            spread(ratios(figures[first]["cpu_s"], each["cpu_s"]), ".1f"),
        ]
        for name, each in figures.items()
    ]
    print_table(title, ["", "s", "CPU s", f"times sooner than {first}", "times less CPU"], rows)


def _print_lengths(lengths: dict[int, Figures]) -> None:
    rows = []
    for length_s in LENGTHS_S:
        elapsed_s = {name: figures["elapsed_s"] for name, figures in lengths[length_s].items()}
        rows.append(
            [
                f"{length_s} s",
                str(len(elapsed_s["stock"])),
                *(f"{median(elapsed_s[name]):.2f}" for name in FEW),
                spread(ratios(elapsed_s["stock"], elapsed_s["cascade"]), ".1f"),
                spread(ratios(elapsed_s["stock"], elapsed_s["cascade, language known"]), ".1f"),
            ]
        )
    heads = ["utterance", "rounds", "stock, s", "known", "cascade, s", "known", "stock to cascade", "to cascade, known"]
    print_table("Time to transcript by the utterance's length, base shape; `known`: the language", heads, rows)
