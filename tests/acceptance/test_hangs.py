"""What hangs is ended, and started anew; others go on meanwhile."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.redis_server import RedisServer
from support.services import ServiceProcesses

pytestmark = pytest.mark.redis

Start = Callable[..., ServiceProcesses]


@pytest.fixture
def start(redis_for_all: RedisServer, tmp_path: Path) -> Iterator[Start]:
    """Starts a stack with such settings."""
    started: list[ServiceProcesses] = []

    def start(**settings: str) -> ServiceProcesses:
        data_dir = tmp_path / "volume"
        data_dir.mkdir()
        services = ServiceProcesses(redis_for_all.url, data_dir, **settings)
        started.append(services)
        services.start()
        services.wait_until_ready()
        return services

    yield start
    for services in started:
        services.stop()


@pytest.mark.parametrize("stage", ["stt", "tts"])
def test_an_engine_that_hangs_costs_its_job_only(start: Start, stage: str) -> None:
    """Its process is ended when its time is over, the task is tried again, and the worker serves the next job."""
    services = start(STT_TIMEOUT_S="0.5", STT_TIMEOUT_RATIO="0.1", TTS_TIMEOUT_S="0.5", MAX_ATTEMPTS="2")
    services.delay(stage, 60)
    job = services.ended(services.upload())
    assert (job["status"], job["error"]["code"]) == ("failed", "engine_timeout")
    services.delay(stage, 0)
    assert services.ended(services.upload())["status"] == "completed"
    assert services.processes[stage].poll() is None


def test_a_longer_recording_gets_more_time(start: Start) -> None:
    """The limit grows with the recording: what would be too long for an empty one is not for this."""
    services = start(STT_TIMEOUT_S="0.5", STT_TIMEOUT_RATIO="10", MAX_ATTEMPTS="1")
    services.delay("stt", 2)
    job = services.ended(services.upload())
    assert job["status"] == "completed"
    assert job["input_duration_s"] * 10 > 2


def test_a_worker_whose_loop_hangs_ends_itself(start: Start) -> None:
    """An engine that blocks its worker's event loop loses its work to another worker, and the process ends with a
    traceback, for whatever runs it to start it anew."""
    services = start(LLM_ENGINE="blocking")
    services.delay("llm", 300)
    job_id = services.upload()
    services.until_working(job_id, "llm")
    services.delay("llm", 0)
    services.start("llm-2")
    assert services.ended(job_id)["status"] == "completed"
    assert services.processes.pop("llm").wait(30) == 1
    assert "blocking.py" in services.logs()
