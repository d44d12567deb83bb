"""Jobs in the real containers, which are built, started and killed. Their limits are in `test_hardening.py`."""

import io
import os
import shutil
import subprocess
import time
import wave
from pathlib import Path

import pytest

from docker.stack import SERVICES, Stack, clean_environment, compose_command, inspect, run
from support.cli_process import ANSWER, SENTENCE, run_command

pytestmark = [pytest.mark.docker, pytest.mark.timeout(900)]  # the first test builds the images

ROOT = Path(__file__).parents[2]
QUESTION = ROOT / "cli" / "samples" / "question.wav"

every_service = pytest.mark.parametrize("service", SERVICES)


@pytest.fixture(scope="session")
def long_question() -> bytes:
    """The question twelve times: some seconds of work, in which its worker can be killed."""
    with wave.open(str(QUESTION)) as question:
        parameters, frames = question.getparams(), question.readframes(question.getnframes())
    out = io.BytesIO()
    with wave.open(out, "wb") as repeated:
        repeated.setparams(parameters)
        repeated.writeframes(frames * 12)
    return out.getvalue()


def test_answer_is_on_the_host_and_owned_by_the_user(stack: Stack) -> None:
    """A recording passes all containers, and its answer is in shared_data/output, owned by the owner of the folder."""
    job = stack.wait_until_completed(stack.upload(QUESTION.read_bytes()))
    answer = stack.answer_file(job["job_id"])
    assert job["audio_path"] == f"output/{answer.name}"
    assert answer.stat().st_uid == stack.uid
    with wave.open(str(answer)) as audio:
        assert audio.getnframes() / audio.getframerate() > 0.5


def test_command_on_the_host_uses_the_containers(stack: Stack, tmp_path: Path) -> None:
    """The command on the host reaches the containers through the API, and writes the answer next to the question."""
    shutil.copy(QUESTION, tmp_path)
    code, out, err = run_command(stack, tmp_path, "talk", "question.wav")
    assert (code, out) == (0, f"{SENTENCE}\n{ANSWER}\n"), err
    with wave.open(str(tmp_path / "question_response.wav")) as audio:
        assert audio.getnframes() / audio.getframerate() > 0.5


def test_crashed_worker_restarts_and_completes_its_job(stack: Stack, long_question: bytes) -> None:
    """A worker whose processes are all killed during a job is restarted once, and completes the job."""
    job_id = stack.upload(long_question)
    container = stack.wait_for_worker(job_id, "stt-worker")
    run("docker", "exec", container, "python", "-c", "import os; os.kill(-1, 9)")
    job = stack.wait_until_completed(job_id)
    assert job["attempts"]["stt"] == 2
    assert inspect(container)["RestartCount"] == 1


def test_two_workers_of_a_stage_serve_two_jobs_at_once(stack: Stack, long_question: bytes) -> None:
    """Two jobs are started by different containers after `--scale stt-worker=2`."""
    stack.up(stt=2)
    jobs = [stack.upload(long_question), stack.upload(long_question)]
    assert len({stack.wait_for_worker(job_id, "stt-worker") for job_id in jobs}) == 2
    for job_id in jobs:
        stack.wait_until_completed(job_id)


def test_another_worker_completes_the_job_of_a_killed_container(stack: Stack, long_question: bytes) -> None:
    """A job whose container is killed and stays down is completed by the stage's other worker."""
    stack.up(stt=2)
    job_id = stack.upload(long_question)
    holder = stack.wait_for_worker(job_id, "stt-worker")
    run("docker", "kill", "--signal", "KILL", holder)
    job = stack.wait_until_completed(job_id)
    assert job["attempts"]["stt"] == 2
    assert not inspect(holder)["State"]["Running"]
    assert stack.answer_file(job_id).exists()


def test_accepted_job_survives_a_power_failure(stack: Stack, long_question: bytes) -> None:
    """An accepted job completes after all containers, Redis included, were killed at once and started again."""
    job_id = stack.upload(long_question)
    stack.wait_for_worker(job_id, "stt-worker")
    time.sleep(1.5)  # Redis syncs its file to the disk once a second
    stack.compose("kill")
    stack.up(stt=1)
    assert stack.wait_until_completed(job_id)["attempts"]["stt"] == 2


@every_service
def test_stopped_container_exits_on_sigterm(stack: Stack, service: str) -> None:
    """A container's service gets SIGTERM from `docker stop` and exits within 15 s, before Docker would kill it."""
    (container,) = stack.containers(service)
    started_at = time.monotonic()
    run("docker", "stop", container)
    assert time.monotonic() - started_at < 15
    # After its shutdown uvicorn raises the signal again: 128 + 15.
    assert inspect(container)["State"]["ExitCode"] == (143 if service == "api" else 0)
    run("docker", "start", container)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can change the owner of a folder")
@pytest.mark.parametrize("owner", [0, 1000, 4321], ids=["root", "the default user", "another user"])
def test_volume_is_writable_for_any_owner_of_the_tree(images: dict[str, str], tmp_path: Path, owner: int) -> None:
    """The services can write to the volume without any setting, whether root, user 1000 or another user owns it."""
    shutil.copy(ROOT / "docker-compose.yml", tmp_path)
    shutil.copytree(ROOT / "deploy", tmp_path / "deploy")
    (tmp_path / ".env").write_text("".join(f"{name}={value}\n" for name, value in images.items()))
    data = tmp_path / "shared_data"
    data.mkdir(mode=0o755)
    os.chown(data, owner, owner)
    compose = [*(compose_command() or []), "--project-name", f"cascade-test-{owner}"]
    write = "touch /data/input/a /data/work/b /data/output/c && rm /data/work/b && touch /models/d"
    as_service = ["--user", "1000:1000", "--entrypoint", "sh", "prepare-volumes", "-c", write]
    try:
        run(*compose, "run", "--rm", "prepare-volumes", folder=tmp_path)
        run(*compose, "run", "--rm", *as_service, folder=tmp_path)
    finally:
        subprocess.run([*compose, "down", "--volumes"], cwd=tmp_path, env=clean_environment(), check=False)
    assert data.stat().st_uid == (owner or 1000)
    assert not data.stat().st_mode & 0o002, "other users may not write"
