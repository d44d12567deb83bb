"""The `cascade` command as a process, for tests against a running stack."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Protocol

from support.services import QUESTION

SENTENCE = QUESTION.with_suffix(".txt").read_text().strip()
ANSWER = "Seven plus five is twelve."

_TIMEOUT_S = 100


class Server(Protocol):
    """A running stack, whether its processes are local or in containers."""

    url: str


def start_command(server: Server, folder: Path, *arguments: str, **settings: str) -> "subprocess.Popen[str]":
    """Start the command in a folder, with `settings` as additional environment variables."""
    return subprocess.Popen(
        [sys.executable, "-m", "cli", *arguments],
        env=os.environ | {"CASCADE_URL": server.url, "COLUMNS": "200"} | settings,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run_command(server: Server, folder: Path, *arguments: str, **settings: str) -> tuple[int, str, str]:
    """Run the command, and return its exit code, its standard output and its standard error."""
    process = start_command(server, folder, *arguments, **settings)
    out, err = process.communicate(timeout=_TIMEOUT_S)
    return process.returncode, out, err
