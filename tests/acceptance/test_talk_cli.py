"""`cascade talk` with the embedded engines, and with slow ones that can be interrupted."""

import json
import re
import signal
import wave

import pytest

from fakes import openai_server
from fakes.openai_server import Hang, OpenAiServer
from support.cli_process import ANSWER, SENTENCE, run_command, start_command
from support.services import QUESTION, ServiceProcesses
from support.wait import wait_until

pytestmark = pytest.mark.redis


def test_talk_prints_and_saves_the_answer(embedded, folder):
    """`cascade talk` prints transcript and answer, and saves the whole spoken answer in the recording's folder."""
    code, out, err = run_command(embedded, folder, "talk", "question.wav")
    assert (code, out) == (0, f"{SENTENCE}\n{ANSWER}\n"), err
    assert re.search(r"transcribing\n(.*\n)*WAV: +question_response\.wav \(\d", err)
    [latest] = sorted(embedded.data_dir.glob("output/*"), key=lambda path: path.stat().st_mtime)[-1:]
    assert (folder / "question_response.wav").read_bytes() == latest.read_bytes()
    with wave.open(str(folder / "question_response.wav")) as file:
        assert file.getnframes() / file.getframerate() > 1


def test_failed_recordings_do_not_stop_a_batch(embedded, folder):
    """A recording that is no audio and one that is damaged do not stop the others of a batch."""
    for name in ("b.wav", "c.wav"):
        (folder / name).write_bytes(QUESTION.read_bytes())
    (folder / "damaged.wav").write_bytes(QUESTION.read_bytes()[:60])
    (folder / "text.wav").write_bytes(b"This is no audio.")
    names = sorted(path.name for path in folder.iterdir())
    code, out, err = run_command(embedded, folder, "talk", *names, "--jobs", "2", "--json")
    statuses = {line["file"]: line for line in map(json.loads, out.splitlines())}
    assert (code, sorted(statuses)) == (1, names), err
    for name in ("b.wav", "c.wav", "question.wav"):
        assert statuses[name]["response"] == ANSWER
        assert (folder / statuses[name]["saved_to"]).exists()
    assert statuses["text.wav"]["error"]["code"] == "unsupported_media_type"
    assert statuses["damaged.wav"]["status"] == "failed"
    assert "3 of 5 done, failed:" in err


def test_exit_codes_of_talk(embedded, folder):
    """The exit codes distinguish a failed job, wrong usage, an absent server and a refusal."""
    (folder / "damaged.wav").write_bytes(QUESTION.read_bytes()[:60])
    (folder / "text.wav").write_bytes(b"This is no audio.")
    codes = {
        ("talk", "damaged.wav"): 1,
        ("talk", "absent.wav"): 2,
        ("talk", "question.wav", "--url", "http://127.0.0.1:1"): 3,
        ("queues", "--url", "http://127.0.0.1:1"): 3,
        ("talk", "text.wav"): 4,
    }
    assert {words: run_command(embedded, folder, *words)[0] for words in codes} == codes


def test_interrupt_cancels_the_job(services, folder):
    """Ctrl-C cancels the job on the server."""
    services.start()
    services.wait_until_ready()
    services.delay("llm", 60)
    process = start_command(services, folder, "talk", "question.wav", "--json")
    job_id = _wait_for_job(services)
    services.wait_until_started(job_id, "llm")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, f"Job {job_id} was cancelled" in err) == (130, True)
    assert services.status(job_id)["status"] == "cancelled"


def test_api_restart_does_not_change_the_answer(services, folder):
    """A command whose API is killed and restarted reconnects, reports that, and prints the whole answer."""
    services.start()
    services.wait_until_ready()
    services.delay("llm", 3)
    process = start_command(services, folder, "talk", "question.wav")
    services.wait_until_started(_wait_for_job(services), "llm")
    services.kill("api")
    services.start("api")
    out, err = process.communicate(timeout=100)
    assert process.returncode == 0, err
    assert re.fullmatch(r"I heard (\d+) samples\.\nYou said: I heard \1 samples\. .* third one\.\n", out)
    assert "The connection was lost" in err
    assert "Reconnected" in err
    assert (folder / "question_response.wav").exists()


def test_restarted_answer_is_printed_once(own_redis, tmp_path, folder):
    """When the LLM worker is killed during its answer, standard output holds only the restarted answer."""
    (tmp_path / "volume").mkdir()
    with OpenAiServer("") as model:
        first_half = openai_server.unfinished("This is the half that is lost. And this ", Hang())
        model.reply_with(first_half, openai_server.answer("This one counts."))
        address = {"LLM_ENGINE": "openai", "OPENAI_BASE_URL": f"{model.url}/v1"}
        services = ServiceProcesses(own_redis.url, tmp_path / "volume", **address)
        try:
            services.start()
            services.wait_until_ready()
            process = start_command(services, folder, "talk", "question.wav")
            job_id = _wait_for_job(services)
            wait_until(lambda: services.status(job_id)["response"], timeout_s=60)
            services.kill("llm")
            services.start("llm")
            out, err = process.communicate(timeout=100)
        finally:
            services.stop()
    assert (process.returncode, out.splitlines()[1:]) == (0, ["This one counts."]), err
    assert "the answer was restarted" in err


def _wait_for_job(services: ServiceProcesses) -> str:
    """Wait until the command's recording has been stored, and return its job's id."""
    uploads = re.compile(r"input/[0-9a-f]{32}")
    [name] = wait_until(lambda: [name for name in services.files() if uploads.fullmatch(name)], timeout_s=30)
    return name.removeprefix("input/")
