"""The commands that operate a running stack: `queues` and `dead`."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.cli_process import run_command
from support.redis_server import RedisServer
from support.services import ServiceProcesses

pytestmark = pytest.mark.redis


@pytest.fixture
def services(own_redis: RedisServer, tmp_path: Path) -> Iterator[ServiceProcesses]:
    """A stack whose speech recognition times out after 0.3 s and is not retried."""
    data_dir = tmp_path / "volume"
    data_dir.mkdir()
    services = ServiceProcesses(own_redis.url, data_dir, STT_TIMEOUT_S="0.3", STT_TIMEOUT_RATIO="0", MAX_ATTEMPTS="1")
    services.start()
    services.wait_until_ready()
    yield services
    services.stop()


def cascade(services: ServiceProcesses, *arguments: str, **settings: str) -> tuple[int, str]:
    """Run the command and return its exit code and its output."""
    code, out, err = run_command(services, services.data_dir, *arguments, **settings)
    return code, out + err


def test_failed_job_is_listed_and_retried(services):
    """`dead list` shows a failed job's error, and `dead retry` completes the job once the cause is gone."""
    services.delay("stt", 30)
    job_id = services.upload()
    assert services.wait_until_ended(job_id)["status"] == "failed"
    _, list_output = cascade(services, "dead", "list")
    assert job_id in list_output
    assert "engine_timeout" in list_output
    _, letter_output = cascade(services, "dead", "show", job_id)
    assert f"stt:{job_id}" in letter_output

    services.delay("stt", 0)
    assert cascade(services, "dead", "retry", job_id) == (0, f"Job {job_id} will be retried.\n")
    assert services.wait_until_ended(job_id)["status"] == "completed"
    assert cascade(services, "dead", "list") == (0, "There are no dead letters.\n")
    code, output = cascade(services, "dead", "retry", job_id)
    assert (code, "Only a failed job can be retried" in output) == (4, True)


def test_purged_jobs_cannot_be_retried(services):
    """`dead purge` deletes the dead letters of one job or of all, and those jobs cannot be retried."""
    services.delay("stt", 30)
    jobs = [services.upload() for _ in range(2)]
    for job_id in jobs:
        assert services.wait_until_ended(job_id)["status"] == "failed"
    assert cascade(services, "dead", "purge", jobs[0]) == (0, "Deleted 1 dead letter.\n")
    assert cascade(services, "dead", "purge") == (2, "cascade: Name a job, or use --all.\n")
    assert cascade(services, "dead", "purge", "--all") == (0, "Deleted 1 dead letter.\n")
    code, output = cascade(services, "dead", "retry", jobs[1])
    assert (code, "has been erased" in output) == (4, True)


def test_queues_shows_stages_and_workers(services):
    """`queues` shows each stage, the workers' engines and the number of active jobs."""
    services.delay("tts", 1)
    services.wait_until_started(services.upload(), "tts")
    code, output = cascade(services, "queues")
    assert code == 0
    for word in ("stt", "llm", "tts", "slow", "jobs: 1 active"):
        assert word in output


def test_job_id_is_not_truncated_in_a_narrow_list(services):
    """`dead list` prints whole job ids even in 80 columns, since the other commands take them."""
    services.delay("stt", 30)
    job_id = services.upload()
    assert services.wait_until_ended(job_id)["status"] == "failed"
    assert job_id in cascade(services, "dead", "list", COLUMNS="80")[1]


@pytest.mark.parametrize(("job", "code"), [("no-such-job", 4), ("a\nb", 4), ("../queues", 4), ("", 2)])
def test_unknown_job_is_reported(services, job, code):
    """An unknown or malformed job id is reported in a sentence, without a traceback."""
    actual_code, output = cascade(services, "dead", "show", job)
    assert (actual_code, "Traceback" in output) == (code, False)
    assert output.startswith("cascade: ")


def test_absent_server_is_reported(tmp_path):
    """If no server runs, `queues` exits with 3 and says how to start one."""
    services = ServiceProcesses("redis://127.0.0.1:1/0", tmp_path)
    code, output = cascade(services, "queues")
    services.client.close()
    assert (code, "cascade up" in output, "Traceback" in output) == (3, True, False)
