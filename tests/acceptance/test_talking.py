"""`cascade talk`, as its user meets it: with the embedded engines, and with slow ones that can be interrupted."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import wave
from collections.abc import Iterator
from pathlib import Path

import pytest

from redis_server import RedisServer
from services import QUESTION, Services

pytestmark = pytest.mark.redis

SENTENCE = QUESTION.with_suffix(".txt").read_text().strip()
ANSWER = "Seven plus five is twelve."


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory, redis_for_all: RedisServer) -> Iterator[Services]:
    """Workers that need no key and no download."""
    data_dir = tmp_path_factory.mktemp("talking") / "volume"
    data_dir.mkdir()
    engines = {"STT_ENGINE": "pocketsphinx", "LLM_ENGINE": "auto", "TTS_ENGINE": "espeak"}
    services = Services(redis_for_all.url, data_dir, **engines, GEMINI_API_KEY="", OPENAI_BASE_URL="")
    services.start()
    services.wait_until_ready()
    yield services
    services.stop()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the command is run."""
    folder = tmp_path / "here"
    folder.mkdir()
    (folder / "question.wav").write_bytes(QUESTION.read_bytes())
    return folder


def command(services: Services, folder: Path, *words: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "cli", *words],
        env=os.environ | {"CASCADE_URL": services.url, "COLUMNS": "200"},
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def done(services: Services, folder: Path, *words: str) -> tuple[int, str, str]:
    """The command's exit code, and what it printed."""
    process = command(services, folder, *words)
    out, err = process.communicate(timeout=100)
    return process.returncode, out, err


def test_a_question_is_answered(embedded, folder):
    """What was heard and answered is printed, and the whole spoken answer lies beside the question."""
    code, out, err = done(embedded, folder, "talk", "question.wav")
    assert (code, out) == (0, f"{SENTENCE}\n{ANSWER}\n"), err
    assert re.search(r"recognizing speech\n(.*\n)*spoken +question_response\.wav \(\d", err)
    [latest] = sorted(embedded.data_dir.glob("output/*"), key=lambda path: path.stat().st_mtime)[-1:]
    assert (folder / "question_response.wav").read_bytes() == latest.read_bytes()
    with wave.open(str(folder / "question_response.wav")) as file:
        assert file.getnframes() / file.getframerate() > 1


def test_many_questions_are_answered(embedded, folder):
    """One that is no audio and one that is damaged stop no other."""
    for name in ("b.wav", "c.wav"):
        (folder / name).write_bytes(QUESTION.read_bytes())
    (folder / "damaged.wav").write_bytes(QUESTION.read_bytes()[:60])
    (folder / "text.wav").write_bytes(b"This is no audio.")
    names = sorted(path.name for path in folder.iterdir())
    code, out, err = done(embedded, folder, "talk", *names, "--jobs", "2", "--json")
    told = {line["file"]: line for line in map(json.loads, out.splitlines())}
    assert (code, sorted(told)) == (1, names), err
    for name in ("b.wav", "c.wav", "question.wav"):
        assert told[name]["response"] == ANSWER
        assert (folder / told[name]["saved_to"]).exists()
    assert told["text.wav"]["error"]["code"] == "unsupported_media_type"
    assert told["damaged.wav"]["status"] == "failed"
    assert "3 of 5 done, failed:" in err


def test_exit_codes_say_what_went_wrong(embedded, folder):
    """The job failed, wrong usage, not reachable, refused."""
    (folder / "damaged.wav").write_bytes(QUESTION.read_bytes()[:60])
    (folder / "text.wav").write_bytes(b"This is no audio.")
    codes = {
        ("talk", "damaged.wav"): 1,
        ("talk", "absent.wav"): 2,
        ("talk", "question.wav", "--url", "http://127.0.0.1:1"): 3,
        ("queues", "--url", "http://127.0.0.1:1"): 3,
        ("talk", "text.wav"): 4,
    }
    assert {words: done(embedded, folder, *words)[0] for words in codes} == codes


def test_an_interrupted_job_is_cancelled(services, folder):
    """Ctrl-C frees the workers as well."""
    services.start()
    services.wait_until_ready()
    services.delay("llm", 60)
    process = command(services, folder, "talk", "question.wav", "--json")
    job_id = _accepted(services)
    services.until_working(job_id, "llm")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, f"The job {job_id} is cancelled" in err) == (130, True)
    assert services.status(job_id)["status"] == "cancelled"


def test_a_server_that_is_killed_and_started_again_costs_nothing(services, folder):
    """The answer is the same, and the user was told."""
    services.start()
    services.wait_until_ready()
    services.delay("llm", 3)
    process = command(services, folder, "talk", "question.wav")
    services.until_working(_accepted(services), "llm")
    services.kill("api")
    services.start("api")
    out, err = process.communicate(timeout=100)
    assert process.returncode == 0, err
    assert re.fullmatch(r"I heard (\d+) samples\.\nYou said: I heard \1 samples\. .* third one\.\n", out)
    assert "The connection broke" in err
    assert "The connection is back" in err
    assert (folder / "question_response.wav").exists()


def _accepted(services: Services) -> str:
    """The id of the job that the command has sent, once its recording is there."""
    for _ in range(600):
        if found := [name for name in services.files() if re.fullmatch(r"input/[0-9a-f]{32}", name)]:
            return found[0].removeprefix("input/")
        time.sleep(0.05)
    raise AssertionError("nothing came")
