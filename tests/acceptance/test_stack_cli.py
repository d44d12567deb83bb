"""The `cascade` command: the whole stack without Docker."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
import wave
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import psutil
import pytest
from redis import AuthenticationError, Redis

from support.services import QUESTION

pytestmark = pytest.mark.redis

SENTENCE = QUESTION.with_suffix(".txt").read_text().strip()


def command(*words: str, data_dir: Path, **settings: str) -> subprocess.Popen[str]:
    chosen = ("STT_", "LLM_", "TTS_", "GEMINI_", "OPENAI_")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(chosen)}
    return subprocess.Popen(
        [sys.executable, "-m", "cli", *words],
        env=environment | {"DATA_DIR": str(data_dir), "COLUMNS": "200"} | settings,
        cwd=data_dir.parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@contextmanager
def stack(data_dir: Path, *words: str, **settings: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """`cascade up`, with the address that it prints."""
    up = command("up", *words, data_dir=data_dir, **settings)
    try:
        assert up.stdout is not None
        printed = []
        for line in up.stdout:
            printed.append(line)
            if found := re.search(r"Ready at (http://\S+)", line):
                break
        else:
            pytest.fail("".join(printed))
        yield found[1], up
    finally:
        up.send_signal(signal.SIGINT)
        up.communicate(timeout=60)


def test_the_demonstration_shows_a_question_and_its_answer(tmp_path):
    """Heard to the word, answered, spoken audibly, and everything is stopped afterwards."""
    data_dir = tmp_path / "volume"
    demo = command("demo", data_dir=data_dir)
    printed, _ = demo.communicate(timeout=110)
    assert demo.returncode == 0, printed
    assert re.search(rf"heard +{SENTENCE}\n", printed)
    assert re.search(r"answered +.*twelve", printed)
    assert "pocketsphinx (en-us)" in printed
    [answer] = (data_dir / "output").glob("*_response.wav")
    assert str(answer) in printed
    with wave.open(str(answer)) as file:
        assert file.getnframes() / file.getframerate() > 1
    assert not [process for process in psutil.process_iter(["cwd"]) if _is_of(process, tmp_path)]


def _is_of(process: psutil.Process, folder: Path) -> bool:
    return Path(process.info["cwd"] or "/").is_relative_to(folder)


def processes(up: subprocess.Popen[str]) -> list[psutil.Process]:
    return psutil.Process(up.pid).children(recursive=True)


def worker(up: subprocess.Popen[str], name: str, *, other_than: int = 0) -> psutil.Process:
    """The process that runs a worker's module, once there is one."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        for process in processes(up):
            with suppress(psutil.Error):  # it ended meanwhile
                if process.cmdline()[-2:] == ["-m", name] and process.pid != other_than:
                    return process
        time.sleep(0.1)
    pytest.fail(f"{name} does not run")


def wait_until_ready(url: str) -> None:
    deadline = time.monotonic() + 60
    while httpx.get(f"{url}/readyz").status_code != 200:
        assert time.monotonic() < deadline
        time.sleep(0.2)


#: What every Python process runs first: the LLM worker ends when it is told, as by an exception that nobody caught.
DIES_WHEN_TOLD = """
import os, sys, threading, time

def watch():
    while not os.path.exists("die"):
        time.sleep(0.05)
    os.remove("die")
    os._exit(1)

if "llm_worker" in sys.orig_argv:
    threading.Thread(target=watch, daemon=True).start()
"""


def test_a_worker_that_ends_unexpectedly_is_started_again(tmp_path):
    """An exit status of 1, as Python gives for an exception that nobody caught, is no reason to stay away."""
    (tmp_path / "sitecustomize.py").write_text(DIES_WHEN_TOLD)
    with stack(tmp_path / "volume", PYTHONPATH=str(tmp_path)) as (url, up):
        first = worker(up, "llm_worker")
        (tmp_path / "die").touch()
        first.wait(10)
        worker(up, "llm_worker", other_than=first.pid)
        wait_until_ready(url)


def test_a_worker_that_is_killed_is_started_again(tmp_path):
    """The stack mends itself, and the demonstration uses it where it runs."""
    data_dir = tmp_path / "volume"
    with stack(data_dir) as (url, up):
        first = worker(up, "stt_worker")
        first.kill()
        worker(up, "stt_worker", other_than=first.pid)
        wait_until_ready(url)
        demo = command("demo", data_dir=data_dir)
        printed, _ = demo.communicate(timeout=110)
        assert f"Using the stack at {url}" in printed
        assert SENTENCE in printed

        second = command("up", data_dir=data_dir)
        printed, _ = second.communicate(timeout=60)
        assert (second.returncode, "running already" in printed) == (1, True)
    assert not (data_dir / "stack.json").exists()


def test_nobody_else_on_the_machine_can_read_the_queue(tmp_path):
    """Redis asks for a password, and no list of processes shows it."""
    with stack(tmp_path / "volume") as (_, up):
        [server] = [process for process in processes(up) if process.name() == "redis-server"]
        [port] = {socket.laddr.port for socket in server.net_connections("tcp") if socket.status == psutil.CONN_LISTEN}
        with Redis(port=port) as stranger, pytest.raises(AuthenticationError):
            stranger.keys()
        password = worker(up, "llm_worker").environ()["REDIS_PASSWORD"]
        with Redis(port=port, password=password) as ours:
            assert ours.keys()
        shown = " ".join(word for process in psutil.process_iter(["cmdline"]) for word in process.info["cmdline"] or ())
        assert password not in shown


def test_a_taken_port_is_told(tmp_path):
    """A port that was asked for is not changed silently."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        up = command("up", "--port", port, data_dir=tmp_path / "volume")
        printed, _ = up.communicate(timeout=60)
    assert up.returncode == 1
    assert f"Port {port} is taken" in printed


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        pytest.param({"STT_ENGINE": "nonsense"}, "Set STT_ENGINE to one of", id="unknown engine"),
        pytest.param({"STT_MAX_AUDIO_S": "long"}, "Correct STT_MAX_AUDIO_S in the environment", id="not a number"),
    ],
)
def test_a_worker_that_cannot_start_ends_the_start(tmp_path, settings, told):
    """The line that names the variable is shown, and nothing is left running."""
    up = command("up", data_dir=tmp_path / "volume", **settings)
    printed, _ = up.communicate(timeout=100)
    assert up.returncode == 1
    assert told in printed
    assert "stt-worker could not start" in printed
    assert "Traceback" not in printed
    assert not [process for process in psutil.process_iter(["cwd"]) if _is_of(process, tmp_path)]


def test_a_worker_that_crashes_whenever_it_starts_ends_the_start(tmp_path):
    """It is not started again and again."""
    (tmp_path / "sitecustomize.py").write_text("import sys\nif 'llm_worker' in sys.orig_argv: raise SystemExit(1)\n")
    up = command("up", data_dir=tmp_path / "volume", PYTHONPATH=str(tmp_path))
    printed, _ = up.communicate(timeout=100)
    assert up.returncode == 1
    assert "llm-worker could not start" in printed
