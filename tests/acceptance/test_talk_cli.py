"""`cascade talk`, as its user meets it: with the embedded engines, and with slow ones that can be interrupted."""

import json
import re
import signal
import time
import wave

import pytest

from fakes import openai_server
from fakes.openai_server import Hang, OpenAiServer
from support.cli_process import ANSWER, SENTENCE, command, done
from support.services import QUESTION, ServiceProcesses

pytestmark = pytest.mark.redis


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
    services.wait_until_started(job_id, "llm")
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
    services.wait_until_started(_accepted(services), "llm")
    services.kill("api")
    services.start("api")
    out, err = process.communicate(timeout=100)
    assert process.returncode == 0, err
    assert re.fullmatch(r"I heard (\d+) samples\.\nYou said: I heard \1 samples\. .* third one\.\n", out)
    assert "The connection broke" in err
    assert "The connection is back" in err
    assert (folder / "question_response.wav").exists()


def test_an_answer_that_begins_anew_is_told_and_shown_once(own_redis, tmp_path, folder):
    """A language model worker that is killed in the middle leaves nothing of its half on standard output."""
    (tmp_path / "volume").mkdir()
    with OpenAiServer("") as model:
        half = openai_server.unfinished("This is the half that is lost. And this ", Hang())
        model.reply_with(half, openai_server.answer("This one counts."))
        address = {"LLM_ENGINE": "openai", "OPENAI_BASE_URL": f"{model.url}/v1"}
        services = ServiceProcesses(own_redis.url, tmp_path / "volume", **address)
        try:
            services.start()
            services.wait_until_ready()
            process = command(services, folder, "talk", "question.wav")
            job_id = _accepted(services)
            while not services.status(job_id)["response"]:
                time.sleep(0.05)
            services.kill("llm")
            services.start("llm")
            out, err = process.communicate(timeout=100)
        finally:
            services.stop()
    assert (process.returncode, out.splitlines()[1:]) == (0, ["This one counts."]), err
    assert "the answer begins anew" in err


def _accepted(services: ServiceProcesses) -> str:
    """The id of the job that the command has sent, once its recording is there."""
    for _ in range(600):
        if found := [name for name in services.files() if re.fullmatch(r"input/[0-9a-f]{32}", name)]:
            return found[0].removeprefix("input/")
        time.sleep(0.05)
    raise AssertionError("nothing came")
