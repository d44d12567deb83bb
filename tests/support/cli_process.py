"""The command beside a running stack."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Protocol

from support.services import QUESTION

SENTENCE = QUESTION.with_suffix(".txt").read_text().strip()
ANSWER = "Seven plus five is twelve."


class Server(Protocol):
    """However it runs."""

    url: str


def command(server: Server, folder: Path, *words: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "cli", *words],
        env=os.environ | {"CASCADE_URL": server.url, "COLUMNS": "200"},
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def done(server: Server, folder: Path, *words: str) -> tuple[int, str, str]:
    """The command's exit code, and what it printed."""
    process = command(server, folder, *words)
    out, err = process.communicate(timeout=100)
    return process.returncode, out, err
