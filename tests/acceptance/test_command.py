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
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
import pytest

from services import QUESTION

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
    assert not [process for process in psutil.process_iter(["cmdline"]) if _is_of(process, data_dir)]


def _is_of(process: psutil.Process, data_dir: Path) -> bool:
    return any(str(data_dir) in word for word in process.info["cmdline"] or ())


def test_a_worker_that_is_killed_is_started_again(tmp_path):
    """The stack mends itself, and the demonstration uses it where it runs."""
    data_dir = tmp_path / "volume"
    with stack(data_dir) as (url, up):
        [worker] = [
            process
            for process in psutil.Process(up.pid).children(recursive=True)
            if process.cmdline()[-2:] == ["-m", "stt_worker"]
        ]
        worker.kill()
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            pids = [process.pid for process in psutil.Process(up.pid).children(recursive=True)]
            if worker.pid not in pids and httpx.get(f"{url}/readyz").status_code == 200:
                break
            time.sleep(0.2)
        demo = command("demo", data_dir=data_dir)
        printed, _ = demo.communicate(timeout=110)
        assert f"Using the stack at {url}" in printed
        assert SENTENCE in printed

        second = command("up", data_dir=data_dir)
        printed, _ = second.communicate(timeout=60)
        assert (second.returncode, "running already" in printed) == (1, True)
    assert not (data_dir / "stack.json").exists()


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


def test_a_worker_that_cannot_start_ends_the_start(tmp_path):
    """The line that names the variable is shown, and nothing is left running."""
    data_dir = tmp_path / "volume"
    up = command("up", data_dir=data_dir, STT_ENGINE="nonsense")
    printed, _ = up.communicate(timeout=100)
    assert up.returncode == 1
    assert "Set STT_ENGINE to one of" in printed
    assert "stt-worker could not start" in printed
    assert "Traceback" not in printed
