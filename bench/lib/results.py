"""The figures and tables of this run, for `python -m bench … --json FILE`."""

import json
import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from shared.worker.cpu import available_cpus

#: The figures depend on the versions of these packages.
PACKAGES = ("faster-whisper", "ctranslate2", "piper-tts", "onnxruntime", "redis")

_figures: dict[str, Any] = {}
_tables: list[dict[str, Any]] = []


def record_figures(name: str, figures: Mapping[Any, Any]) -> None:
    """Record figures for a plot."""
    _figures[name] = figures


def record_table(title: str, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Record a table as it was printed."""
    _tables.append({"title": title, "heads": list(heads), "rows": [list(row) for row in rows]})


def write_results(path: Path, command: str) -> None:
    """Write all recorded figures and tables, with the date, the machine, the versions and the command. Creates the
    folder."""
    measured = {
        "date": datetime.now(UTC).date().isoformat(),
        "command": command,
        "machine": f"{_cpu()}, {available_cpus()} cores, Python {platform.python_version()}",
        "versions": {package: version(package) for package in PACKAGES},
        "figures": _figures,
        "tables": _tables,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(measured, indent=1) + "\n")


def _cpu() -> str:
    """The processor's name on Linux, elsewhere its architecture."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
