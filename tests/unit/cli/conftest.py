"""The command against a server that does as it is told."""

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
class Done:
    """What a command has left behind."""

    code: int
    out: str
    err: str


@pytest.fixture
def server() -> Iterator[CascadeServer]:
    with CascadeServer() as server:
        yield server


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the command is run, with a recording in it."""
    folder = tmp_path / "here"
    folder.mkdir()
    (folder / "question.wav").write_bytes(b"RIFF question")
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def cascade(
    server: CascadeServer, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Callable[..., Done]]:
    """Runs the command in this process."""
    monkeypatch.setenv("CASCADE_URL", server.url)
    monkeypatch.setenv("COLUMNS", "200")
    handler = signal.getsignal(signal.SIGTERM)

    def run(*words: str) -> Done:
        monkeypatch.setattr(sys, "argv", ["cascade", *words])
        with pytest.raises(SystemExit) as ended:
            cli.__main__.main()
        code = ended.value.code
        return Done(code if isinstance(code, int) else 0, *capsys.readouterr())

    yield run
    signal.signal(signal.SIGTERM, handler)


@pytest.fixture
def process(server: CascadeServer, folder: Path) -> Callable[..., "subprocess.Popen[str]"]:
    """Starts the command as a process of its own, to be sent signals; ended with the test."""
    started = []

    @contextmanager
    def start(*words: str, **options: object) -> Iterator["subprocess.Popen[str]"]:
        root = str(Path(__file__).parents[3])
        environment = os.environ | {"CASCADE_URL": server.url, "COLUMNS": "200", "PYTHONPATH": root}
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options
        with subprocess.Popen(
            [sys.executable, "-m", "cli", *words], env=environment, cwd=folder, text=True, **pipes
        ) as command:
            started.append(command)
            try:
                yield command
            finally:
                command.kill()

    return start
