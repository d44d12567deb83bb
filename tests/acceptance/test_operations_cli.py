"""Looking after a running stack with the `cascade` command."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.redis_server import RedisServer
from support.services import ServiceProcesses

pytestmark = pytest.mark.redis


@pytest.fixture
def services(own_redis: RedisServer, tmp_path: Path) -> Iterator[ServiceProcesses]:
    """A stack whose recognizer gives up at once when it is slow."""
    data_dir = tmp_path / "volume"
    data_dir.mkdir()
    services = ServiceProcesses(own_redis.url, data_dir, STT_TIMEOUT_S="0.3", STT_TIMEOUT_RATIO="0", MAX_ATTEMPTS="1")
    services.start()
    services.wait_until_ready()
    yield services
    services.stop()


def cascade(services: ServiceProcesses, *words: str, **settings: str) -> tuple[int, str]:
    """The command's exit status, and what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", "cli", *words],
        env=os.environ | {"CASCADE_URL": services.url, "COLUMNS": "200"} | settings,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def test_a_job_that_failed_is_found_and_tried_again(services):
    """Its reason is listed, and once that has passed, the job completes from the stage that failed."""
    services.delay("stt", 30)
    job_id = services.upload()
    assert services.wait_until_ended(job_id)["status"] == "failed"
    _, listed = cascade(services, "dead", "list")
    assert job_id in listed
    assert "engine_timeout" in listed
    _, shown = cascade(services, "dead", "show", job_id)
    assert f"stt:{job_id}" in shown

    services.delay("stt", 0)
    assert cascade(services, "dead", "retry", job_id) == (0, f"{job_id} is on its way again.\n")
    assert services.wait_until_ended(job_id)["status"] == "completed"
    assert cascade(services, "dead", "list") == (0, "Nothing was set aside.\n")
    status, refused = cascade(services, "dead", "retry", job_id)
    assert (status, "Only a job that has failed" in refused) == (4, True)


def test_what_failed_is_dropped_by_name_or_altogether(services):
    """After that it cannot be tried again."""
    services.delay("stt", 30)
    jobs = [services.upload() for _ in range(2)]
    for job_id in jobs:
        assert services.wait_until_ended(job_id)["status"] == "failed"
    assert cascade(services, "dead", "purge", jobs[0]) == (0, "1 tasks dropped.\n")
    assert cascade(services, "dead", "purge") == (2, "cascade: Name a job, or say --all.\n")
    assert cascade(services, "dead", "purge", "--all") == (0, "1 tasks dropped.\n")
    status, refused = cascade(services, "dead", "retry", jobs[1])
    assert (status, "has been erased" in refused) == (4, True)


def test_the_queues_are_shown(services):
    """What waits and who works, at one look."""
    services.delay("tts", 1)
    services.wait_until_started(services.upload(), "tts")
    status, shown = cascade(services, "queues")
    assert status == 0
    for word in ("stt", "llm", "tts", "slow", "1 jobs live"):
        assert word in shown


def test_a_job_s_id_is_listed_whole_where_there_is_little_room(services):
    """As in a pipe: it is what the other commands want."""
    services.delay("stt", 30)
    job_id = services.upload()
    assert services.wait_until_ended(job_id)["status"] == "failed"
    assert job_id in cascade(services, "dead", "list", COLUMNS="80")[1]


@pytest.mark.parametrize(("job", "code"), [("no-such-job", 4), ("a\nb", 4), ("../queues", 4), ("", 2)])
def test_what_is_no_job_is_told(services, job, code):
    """In a sentence."""
    status, told = cascade(services, "dead", "show", job)
    assert (status, "Traceback" in told) == (code, False)
    assert told.startswith("cascade: ")


def test_a_server_that_is_not_there_is_told(tmp_path):
    """With what to do about it."""
    services = ServiceProcesses("redis://127.0.0.1:1/0", tmp_path)
    status, told = cascade(services, "queues")
    services.client.close()
    assert (status, "cascade up" in told, "Traceback" in told) == (3, True, False)
