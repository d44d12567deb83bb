"""Draw the plots and write the tables of docs/performance.md from the results of a run: `python -m bench.performance
FILE`."""

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any

import matplotlib

from bench.lib.statistics import ratios

matplotlib.use("svg")
from matplotlib import pyplot

DOCS = Path(__file__).parent.parent / "docs"
PAGE = DOCS / "performance.md"
PLOTS = DOCS / "performance"

#: Markers around the generated part of the page.
BEGIN = "<!-- measured: written by `make performance` -->"
END = "<!-- end of measured -->"

#: The plotted contenders and their colours, distinguishable with red-green colour blindness.
COLOURS = {
    "stock": "#999999",
    "stock, language known": "#d55e00",
    "cascade": "#56b4e9",
    "cascade, language known": "#0072b2",
}

#: A fixed salt, so that the same input gives the same file.
STYLE = {"svg.hashsalt": "cascade", "svg.fonttype": "none", "font.family": "sans-serif", "font.size": 10}


def draw_lengths(by_length: Mapping[str, Any], path: Path) -> None:
    """Plot the time to transcript by the utterance's length."""
    lengths = sorted(by_length, key=int)
    figure, axes = pyplot.subplots(figsize=(7, 4))
    for name, colour in COLOURS.items():
        seconds = [by_length[length][name]["elapsed_s"] for length in lengths]
        positions = [int(length) for length in lengths]
        axes.plot(positions, [median(values) for values in seconds], marker="o", color=colour, label=name)
        axes.fill_between(positions, list(map(min, seconds)), list(map(max, seconds)), color=colour, alpha=0.2, lw=0)
    axes.set(xlabel="utterance, s", ylabel="time to transcript, s", ylim=(0, None), xlim=(0, None))
    axes.set_title("Whisper's base shape, int8: median, and minimum to maximum", fontsize=10)
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    _save(figure, path)


def draw_shapes(by_shape: Mapping[str, Any], path: Path) -> None:
    """Plot the speed-up over stock by the model's size."""
    figure, axes = pyplot.subplots(figsize=(7, 3))
    for offset, name in ((0.2, "cascade, language known"), (-0.2, "cascade")):
        speedups = {
            position + offset: ratios(figures["stock"]["elapsed_s"], figures[name]["elapsed_s"])
            for position, figures in enumerate(by_shape.values())
            if name in figures
        }
        medians = [median(values) for values in speedups.values()]
        below = [middle - min(values) for middle, values in zip(medians, speedups.values(), strict=True)]
        above = [max(values) - middle for middle, values in zip(medians, speedups.values(), strict=True)]
        bars = axes.barh(list(speedups), medians, height=0.38, color=COLOURS[name], label=name, xerr=[below, above])
        axes.bar_label(bars, fmt="%.1f", padding=3)
    axes.axvline(1, color=COLOURS["stock"], linestyle="--", label="stock")
    axes.set_yticks(range(len(by_shape)), list(by_shape))
    axes.set(xlabel="times faster than stock, an utterance of 5 s: median, and minimum to maximum", ylabel="shape")
    axes.margins(x=0.1)
    axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
    _save(figure, path)


def _save(figure: Any, path: Path) -> None:
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None}, facecolor="white")
    pyplot.close(figure)
    path.write_text("\n".join(line.rstrip() for line in path.read_text().splitlines()) + "\n")


def as_markdown(measured: Mapping[str, Any]) -> str:
    """The date, the machine, the versions and the command of the run, and its tables."""
    versions = ", ".join(f"{package} {version}" for package, version in measured["versions"].items())
    parts = [f"Measured {measured['date']} on {measured['machine']}, with {versions}, by `{measured['command']}`."]
    for table in measured["tables"]:
        lines = [table["heads"], ["---", *["---:"] * (len(table["heads"]) - 1)], *table["rows"]]
        parts += [f"### {table['title']}", "\n".join(f"| {' | '.join(line)} |" for line in lines)]
    return "\n\n".join(parts)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.performance", description=__doc__)
    parser.add_argument("file", type=Path, help="written by `python -m bench … --json FILE`")
    measured = json.loads(parser.parse_args().file.read_text())
    PLOTS.mkdir(exist_ok=True)
    with pyplot.rc_context(STYLE):
        draw_lengths(measured["figures"]["recognition_by_length"], PLOTS / "lengths.svg")
        draw_shapes(measured["figures"]["recognition_by_shape"], PLOTS / "shapes.svg")
    head, _, rest = PAGE.read_text().partition(BEGIN)
    _, _, tail = rest.partition(END)
    PAGE.write_text(f"{head}{BEGIN}\n\n{as_markdown(measured)}\n\n{END}{tail}")


if __name__ == "__main__":
    main()
