"""The `cascade` command: the whole stack without Docker."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import wave
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path

import httpx
import psutil
import pytest
from redis import AuthenticationError, Redis

from support.services import QUESTION

pytestmark = pytest.mark.redis

SENTENCE = QUESTION.with_suffix(".txt").read_text().strip()


def command(*words: str, data_dir: Path, log: Path | None = None, **settings: str) -> subprocess.Popen[str]:
    """The running command. `log` takes its standard error, which else goes where standard output goes."""
    chosen = ("STT_", "LLM_", "TTS_", "GEMINI_", "OPENAI_")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(chosen)}
    with log.open("ab") if log else nullcontext(subprocess.STDOUT) as stderr:
        return subprocess.Popen(
            [sys.executable, "-m", "cli", *words],
            env=environment | {"DATA_DIR": str(data_dir), "COLUMNS": "200"} | settings,
            cwd=data_dir.parent,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        )


@contextmanager
def stack(
    data_dir: Path, *words: str, log: Path | None = None, **settings: str
) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """`cascade up`, with the address that it prints."""
    up = command("up", *words, data_dir=data_dir, log=log, **settings)
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


#: What every Python process runs first: each service prints text without an end of line, as C libraries do, and warns.
PRINTS_TEXT = """
import os, sys, threading, time, warnings

def chatter():
    while True:
        os.write(1, b"half a line, ")
        os.write(2, b"another half ")
        time.sleep(0.01)
        os.write(2, b"and its end" + b"." * 5000 + b"\\n")
        warnings.warn(f"{time.time()}")

if sys.argv[:1] == ["-m"] and any(name in sys.orig_argv for name in ("api", "stt_worker", "llm_worker", "tts_worker")):
    threading.Thread(target=chatter, daemon=True).start()
"""


def test_every_line_of_the_log_is_a_json_object_across_crashes_and_restarts(tmp_path):
    """With all processes writing at once, some of it plain text, a worker killed and the stack started a second time,
    each line of the log is one JSON object with the keys that ours have, and the first run's lines are still there."""
    log, data_dir = tmp_path / "up.log", tmp_path / "volume"
    (tmp_path / "sitecustomize.py").write_text(PRINTS_TEXT)
    first_run = b""
    for _ in range(2):
        with stack(data_dir, log=log, PYTHONPATH=str(tmp_path)) as (url, up):
            with httpx.Client(base_url=url) as client:
                jobs = [client.post("/ask", json={"text": f"What is {n} plus 1?"}).json()["job_id"] for n in range(8)]
                victim = worker(up, "stt_worker")
                victim.kill()
                statuses = [client.get(f"/status/{job}", params={"wait": 50}, timeout=60).json() for job in jobs]
            worker(up, "stt_worker", other_than=victim.pid)
            wait_until_ready(url)
        assert {status["status"] for status in statuses} == {"completed"}
        assert log.read_bytes().startswith(first_run)
        first_run = log.read_bytes()
    assert first_run.endswith(b"\n")
    events = [json.loads(line) for line in first_run.splitlines()]
    assert all(event.keys() >= {"time", "level", "service", "event"} for event in events)
    names = {(event["service"], event["event"]) for event in events}
    assert names >= {
        ("redis", "redis_message"),
        ("api", "job_accepted"),
        ("stt-worker", "worker_ready"),
        ("stt-worker", "output_line"),
        ("tts-worker", "task_committed"),
        ("supervisor", "supervisor_message"),
    }


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
