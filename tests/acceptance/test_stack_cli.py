"""The `cascade` command: the whole stack without Docker."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import wave
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path

import httpx
import psutil
import pytest
from redis import AuthenticationError, Redis

from support.services import QUESTION
from support.wait import wait_until

pytestmark = pytest.mark.redis

SENTENCE = QUESTION.with_suffix(".txt").read_text().strip()


def start_command(*arguments: str, data_dir: Path, log: Path | None = None, **settings: str) -> subprocess.Popen[str]:
    """Start the command. Its standard error is appended to `log`, else merged with its standard output."""
    engine_settings = ("STT_", "LLM_", "TTS_", "GEMINI_", "OPENAI_")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(engine_settings)}
    with log.open("ab") if log else nullcontext(subprocess.STDOUT) as stderr:
        return subprocess.Popen(
            [sys.executable, "-m", "cli", *arguments],
            env=environment | {"DATA_DIR": str(data_dir), "COLUMNS": "200"} | settings,
            cwd=data_dir.parent,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        )


@contextmanager
def stack(
    data_dir: Path, *arguments: str, log: Path | None = None, **settings: str
) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Run `cascade up`; yield the address that it prints, and its process."""
    up = start_command("up", *arguments, data_dir=data_dir, log=log, **settings)
    try:
        assert up.stdout is not None
        lines = []
        for line in up.stdout:
            lines.append(line)
            if match := re.search(r"Ready at (http://\S+)", line):
                break
        else:
            pytest.fail("".join(lines))
        yield match[1], up
    finally:
        up.send_signal(signal.SIGINT)
        up.communicate(timeout=60)


def test_demo_prints_transcript_answer_and_wav(tmp_path):
    """The demo transcribes the question to the word, answers it, writes the WAV, and stops all its processes."""
    data_dir = tmp_path / "volume"
    demo = start_command("demo", data_dir=data_dir)
    output, _ = demo.communicate(timeout=110)
    assert demo.returncode == 0, output
    assert re.search(rf"Transcript: {SENTENCE}\n", output)
    assert re.search(r"Answer: +.*twelve", output)
    assert "pocketsphinx (en-us)" in output
    [answer] = (data_dir / "output").glob("*_response.wav")
    assert f"WAV:        {answer} (" in output
    with wave.open(str(answer)) as file:
        assert file.getnframes() / file.getframerate() > 1
    assert not [process for process in psutil.process_iter(["cwd"]) if _runs_in(process, tmp_path)]


def _runs_in(process: psutil.Process, folder: Path) -> bool:
    return Path(process.info["cwd"] or "/").is_relative_to(folder)


def processes(up: subprocess.Popen[str]) -> list[psutil.Process]:
    return psutil.Process(up.pid).children(recursive=True)


def worker(up: subprocess.Popen[str], name: str, *, other_than: int = 0) -> psutil.Process:
    """Wait until a process other than `other_than` runs the worker's module, and return it."""

    def find() -> psutil.Process | None:
        for process in processes(up):
            with suppress(psutil.Error):  # the process has ended meanwhile
                if process.cmdline()[-2:] == ["-m", name] and process.pid != other_than:
                    return process
        return None

    return wait_until(find, poll_s=0.1)


def wait_until_ready(url: str) -> None:
    wait_until(lambda: httpx.get(f"{url}/readyz").status_code == 200, timeout_s=60, poll_s=0.2)


#: A `sitecustomize.py`, which every Python process runs first: the LLM worker exits with status 1 when a file `die`
#: appears.
EXIT_ON_REQUEST = """
import os, sys, threading, time

def watch():
    while not os.path.exists("die"):
        time.sleep(0.05)
    os.remove("die")
    os._exit(1)

if "llm_worker" in sys.orig_argv:
    threading.Thread(target=watch, daemon=True).start()
"""


def test_worker_that_exits_with_an_error_is_restarted(tmp_path):
    """A worker that exits with status 1, as Python does after an uncaught exception, is restarted."""
    (tmp_path / "sitecustomize.py").write_text(EXIT_ON_REQUEST)
    with stack(tmp_path / "volume", PYTHONPATH=str(tmp_path)) as (url, up):
        first = worker(up, "llm_worker")
        (tmp_path / "die").touch()
        first.wait(10)
        worker(up, "llm_worker", other_than=first.pid)
        wait_until_ready(url)


def test_killed_worker_is_restarted(tmp_path):
    """A killed worker is restarted; `demo` uses the running stack, and a second `up` is refused."""
    data_dir = tmp_path / "volume"
    with stack(data_dir) as (url, up):
        first = worker(up, "stt_worker")
        first.kill()
        worker(up, "stt_worker", other_than=first.pid)
        wait_until_ready(url)
        demo = start_command("demo", data_dir=data_dir)
        output, _ = demo.communicate(timeout=110)
        assert f"Using the stack at {url}" in output
        assert SENTENCE in output

        second = start_command("up", data_dir=data_dir)
        output, _ = second.communicate(timeout=60)
        assert (second.returncode, "already running" in output) == (1, True)
    assert not (data_dir / "stack.json").exists()


#: A `sitecustomize.py`: each service prints text without a line feed, as C libraries do, and warns.
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


def test_log_lines_are_json_objects_across_crashes_and_restarts(tmp_path):
    """Each line of the log is one JSON object with the keys of an event while all processes write, some of them plain
    text, a worker is killed and the stack is started a second time; the lines of the first run are kept."""
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
        ("tts-worker", "task_finished"),
        ("supervisor", "supervisor_message"),
    }


def test_redis_requires_a_password_that_no_process_list_shows(tmp_path):
    """Other users of the machine cannot read the queue: Redis requires a password, and no process list shows it."""
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


def test_taken_port_is_reported(tmp_path):
    """`up --port` fails if the port is taken, and does not use another one."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        up = start_command("up", "--port", port, data_dir=tmp_path / "volume")
        output, _ = up.communicate(timeout=60)
    assert up.returncode == 1
    assert f"Port {port} is taken" in output


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        pytest.param({"STT_ENGINE": "nonsense"}, "Set STT_ENGINE to one of", id="unknown engine"),
        pytest.param({"STT_MAX_AUDIO_S": "long"}, "Correct STT_MAX_AUDIO_S in the environment", id="not a number"),
    ],
)
def test_wrong_worker_setting_ends_the_start(tmp_path, settings, message):
    """If a worker's setting is wrong, `up` prints which one, exits with 1, and leaves no process running."""
    up = start_command("up", data_dir=tmp_path / "volume", **settings)
    output, _ = up.communicate(timeout=100)
    assert up.returncode == 1
    assert message in output
    assert "stt-worker could not start" in output
    assert "Traceback" not in output
    assert not [process for process in psutil.process_iter(["cwd"]) if _runs_in(process, tmp_path)]


def test_worker_that_crashes_at_every_start_ends_the_start(tmp_path):
    """If a worker crashes whenever it starts, `up` exits with 1 instead of restarting it forever."""
    (tmp_path / "sitecustomize.py").write_text("import sys\nif 'llm_worker' in sys.orig_argv: raise SystemExit(1)\n")
    up = start_command("up", data_dir=tmp_path / "volume", PYTHONPATH=str(tmp_path))
    output, _ = up.communicate(timeout=100)
    assert up.returncode == 1
    assert "llm-worker could not start" in output
