"""The files of a checkout, and what a rule reports about them."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

#: By folder, the package whose modules are in it.
PACKAGES = {
    "api": "api",
    "cli": "cli",
    "docs_generator": "docs_generator",
    "llm-worker": "llm_worker",
    "shared": "shared",
    "stt-worker": "stt_worker",
    "tts-worker": "tts_worker",
}

SERVICES = ("api", "stt-worker", "llm-worker", "tts-worker")

PRODUCT = tuple(PACKAGES)

#: Folders with code that does not ship.
DEVELOPMENT = ("tests", "bench", "deploy")

_CACHES = {"__pycache__", "node_modules"}


@dataclass(frozen=True, order=True)
class Violation:
    """One place where a rule is broken."""

    path: str
    """From the root of the checkout."""

    line: int
    """0 if it is about the whole file."""

    message: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.message}"


def files(root: Path, folders: tuple[str, ...], *suffixes: str) -> Iterator[Path]:
    """The files below `folders` that have one of `suffixes`."""
    for folder in folders:
        for path in sorted((root / folder).rglob("*")):
            if path.suffix in suffixes and path.is_file() and not _CACHES.intersection(path.parts):
                yield path


def relative(root: Path, path: Path) -> str:
    """The path of a file as a report names it."""
    return path.relative_to(root).as_posix()


def parse(path: Path) -> ast.Module:
    """The syntax tree of a Python file."""
    return _parse(path, path.stat().st_mtime_ns)


@cache
def _parse(path: Path, _modified: int) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def module_name(root: Path, path: Path) -> str:
    """The import name of a product file: `stt-worker/stt_worker/audio.py` is `stt_worker.audio`."""
    parts = path.relative_to(root).with_suffix("").parts
    if "-" in parts[0]:
        parts = parts[1:]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
