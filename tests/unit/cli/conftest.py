"""Fixtures that run the `cascade` command against a scripted server."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

import cli.__main__
from fakes.cascade_server import CascadeServer


@dataclass
class CommandResult:
    """The exit code and the output of a command that has ended."""

    code: int
    out: str
    err: str


@pytest.fixture
def server() -> Iterator[CascadeServer]:
    with CascadeServer() as server:
        yield server


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which the command runs, with a recording in it."""
    folder = tmp_path / "current"
    folder.mkdir()
    (folder / "question.wav").write_bytes(b"RIFF question")
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def cascade(
    server: CascadeServer, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Callable[..., CommandResult]]:
    """A function that runs the command in this process."""
    monkeypatch.setenv("CASCADE_URL", server.url)
    monkeypatch.setenv("COLUMNS", "200")
    handler = signal.getsignal(signal.SIGTERM)

    def run(*arguments: str) -> CommandResult:
        monkeypatch.setattr(sys, "argv", ["cascade", *arguments])
        with pytest.raises(SystemExit) as exit_info:
            cli.__main__.main()
        code = exit_info.value.code
        return CommandResult(code if isinstance(code, int) else 0, *capsys.readouterr())

    yield run
    signal.signal(signal.SIGTERM, handler)


@pytest.fixture
def process(server: CascadeServer, folder: Path) -> Callable[..., "subprocess.Popen[str]"]:
    """A function that starts the command as a process, which can receive signals. It is killed with the test."""

    @contextmanager
    def start(*arguments: str, **options: object) -> Iterator["subprocess.Popen[str]"]:
        root = str(Path(__file__).parents[3])
        environment = os.environ | {"CASCADE_URL": server.url, "COLUMNS": "200", "PYTHONPATH": root}
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options
        with subprocess.Popen(
            [sys.executable, "-m", "cli", *arguments], env=environment, cwd=folder, text=True, **pipes
        ) as command:
            try:
                yield command
            finally:
                command.kill()

    return start
