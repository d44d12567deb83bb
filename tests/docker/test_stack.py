"""The real containers: built, started, killed. `test_hardening.py` has what they may not do."""

import io
import os
import shutil
import subprocess
import time
import wave
from pathlib import Path

import pytest

from docker.stack import SERVICES, Stack, clean_environment, compose_command, inspect, run
from support.cli_process import ANSWER, SENTENCE, done

pytestmark = [pytest.mark.docker, pytest.mark.timeout(900)]  # the first test builds the images

ROOT = Path(__file__).parents[2]
QUESTION = ROOT / "cli" / "samples" / "question.wav"

every_service = pytest.mark.parametrize("service", SERVICES)


@pytest.fixture(scope="session")
def long_question() -> bytes:
    """The question again and again: some seconds of work, so that there is time to kill who does it."""
    with wave.open(str(QUESTION)) as question:
        parameters, frames = question.getparams(), question.readframes(question.getnframes())
    out = io.BytesIO()
    with wave.open(out, "wb") as repeated:
        repeated.setparams(parameters)
        repeated.writeframes(frames * 12)
    return out.getvalue()


def test_the_answer_lies_on_the_host_and_belongs_to_the_caller(stack: Stack) -> None:
    """A recording goes through all containers, and its WAV is in shared_data/output, its owner's like the folder."""
    job = stack.completed(stack.upload(QUESTION.read_bytes()))
    answer = stack.answer(job["job_id"])
    assert job["audio_path"] == f"output/{answer.name}"
    assert answer.stat().st_uid == stack.uid
    with wave.open(str(answer)) as spoken:
        assert spoken.getnframes() / spoken.getframerate() > 0.5


def test_the_command_talks_to_the_containers(stack: Stack, tmp_path: Path) -> None:
    """From the host, which shares nothing with them but the API: the answer is written beside the question."""
    shutil.copy(QUESTION, tmp_path)
    code, out, err = done(stack, tmp_path, "talk", "question.wav")
    assert (code, out) == (0, f"{SENTENCE}\n{ANSWER}\n"), err
    with wave.open(str(tmp_path / "question_response.wav")) as spoken:
        assert spoken.getnframes() / spoken.getframerate() > 0.5


def test_a_worker_whose_processes_all_die_comes_back_and_finishes(stack: Stack, long_question: bytes) -> None:
    """A crash in mid-job costs the job nothing but time, though the stage has one worker only."""
    job_id = stack.upload(long_question)
    container = stack.worker_of(job_id, "stt-worker")
    run("docker", "exec", container, "python", "-c", "import os; os.kill(-1, 9)")
    job = stack.completed(job_id)
    assert job["attempts"]["stt"] == 2
    assert inspect(container)["RestartCount"] == 1


def test_two_workers_of_a_stage_serve_two_jobs_at_once(stack: Stack, long_question: bytes) -> None:
    """`--scale stt-worker=2` is all that it takes to share the work."""
    stack.up(stt=2)
    jobs = [stack.upload(long_question), stack.upload(long_question)]
    assert len({stack.worker_of(job_id, "stt-worker") for job_id in jobs}) == 2
    for job_id in jobs:
        stack.completed(job_id)


def test_another_worker_finishes_what_a_killed_container_held(stack: Stack, long_question: bytes) -> None:
    """A container that is killed and does not come back loses no job."""
    stack.up(stt=2)
    job_id = stack.upload(long_question)
    held_by = stack.worker_of(job_id, "stt-worker")
    run("docker", "kill", "--signal", "KILL", held_by)
    job = stack.completed(job_id)
    assert job["attempts"]["stt"] == 2
    assert not inspect(held_by)["State"]["Running"]
    assert stack.answer(job_id).exists()


def test_a_job_outlives_a_power_cut(stack: Stack, long_question: bytes) -> None:
    """All containers die at once, Redis too; when they are started again, the accepted job completes."""
    job_id = stack.upload(long_question)
    stack.worker_of(job_id, "stt-worker")
    time.sleep(1.5)  # Redis forces its file to the disk once a second
    stack.compose("kill")
    stack.up(stt=1)
    assert stack.completed(job_id)["attempts"]["stt"] == 2


@every_service
def test_a_container_that_is_told_to_stop_ends_in_order(stack: Stack, service: str) -> None:
    """SIGTERM reaches the process behind the init, which ends by itself, long before it would be killed."""
    (container,) = stack.containers(service)
    started = time.monotonic()
    run("docker", "stop", container)
    assert time.monotonic() - started < 15
    # Having closed everything, uvicorn hands the signal on to itself: 128 + 15.
    assert inspect(container)["State"]["ExitCode"] == (143 if service == "api" else 0)
    run("docker", "start", container)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives folders away")
@pytest.mark.parametrize("owner", [0, 1000, 4321], ids=["root", "the default user", "somebody else"])
def test_the_volume_can_be_written_whoever_checked_the_tree_out(
    images: dict[str, str], tmp_path: Path, owner: int
) -> None:
    """Without any setting, `docker compose up` works for root, for the usual first user and for any other."""
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
    assert not data.stat().st_mode & 0o002, "not everybody may write"
