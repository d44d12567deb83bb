"""Memory of the stack at rest, with the engines that need no key and no download."""

import argparse
import os
import tempfile
import time
from pathlib import Path

import psutil

from bench.lib.processes import proportional_mb, resident_mb
from bench.lib.table import print_table
from cli.local_stack.stack import start_stack
from cli.settings import EMBEDDED

#: From readiness to the reading.
SETTLE_S = 3


def measure_memory(_arguments: argparse.Namespace) -> None:
    os.environ.update(EMBEDDED | {"LLM_ENGINE": "offline"})
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as directory,
        Path(os.devnull).open("w") as null_device,
        start_stack(Path(directory), None, log=null_device.fileno()),
    ):
        time.sleep(SETTLE_S)
        processes = psutil.Process().children(recursive=True)
        sizes = [(_label(process), resident_mb(process), proportional_mb(process)) for process in processes]
    _print(sizes)


def _label(process: psutil.Process) -> str:
    """The module that the process runs; a child of a worker is named after the worker."""
    words = process.cmdline()
    if "-m" in words:
        return words[words.index("-m") + 1]
    parent = process.parent()
    if any("resource_tracker" in word for word in words):
        return f"{_label(parent)}: resource tracker" if parent else process.name()
    if any("spawn_main" in word for word in words):
        return f"{_label(parent)}: engine" if parent else process.name()
    return process.name()


def _print(sizes: list[tuple[str, float, float | None]]) -> None:
    rows = [[label, f"{rss:.0f}", "?" if pss is None else f"{pss:.0f}"] for label, rss, pss in sorted(sizes)]
    measurable = [pss for _, _, pss in sizes if pss is not None]
    rows.append(["all", f"{sum(rss for _, rss, _ in sizes):.0f}", f"{sum(measurable):.0f}" if measurable else "?"])
    print_table("Memory at rest, embedded engines, MB", ["process", "resident", "proportional"], rows)
