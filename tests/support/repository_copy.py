"""A copy of the product in which a test can break a rule."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from support.rules.source import PRODUCT

ROOT = Path(__file__).parents[2]

_COPIED = {".py", ".lua", ".js", ".css", ".html", ".txt"}


def copy_product(to: Path) -> Path:
    """Copy the product's sources and the tools' configuration to the folder `to`, and return it."""
    for folder in PRODUCT:
        shutil.copytree(ROOT / folder, to / folder, ignore=_ignored)
    shutil.copy(ROOT / "pyproject.toml", to)
    return to


def _ignored(folder: str, names: list[str]) -> list[str]:
    return [name for name in names if Path(folder, name).is_file() and Path(name).suffix not in _COPIED]


def add_code(root: Path, name: str, code: str) -> None:
    """Append code to a file of a copy, or make the file."""
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    before = path.read_text() if path.exists() else ""
    path.write_text(f"{before}\n{code}\n")


def run_tool(root: Path, tool: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a tool of this environment on a copy, whose packages it finds before the installed ones."""
    command = [str(Path(sys.executable).with_name(tool)), *arguments]
    folders = (root, root / "stt-worker", root / "llm-worker", root / "tts-worker")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, folders)), "COLUMNS": "1000"}
    return subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
