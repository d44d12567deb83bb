"""Engines and workers that hang are killed and restarted, while other jobs continue."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from support.redis_server import RedisServer
from support.services import ServiceProcesses, run_services

pytestmark = pytest.mark.redis

Start = Callable[..., ServiceProcesses]


@pytest.fixture
def start(redis_for_all: RedisServer, tmp_path: Path) -> Iterator[Start]:
    """A function that starts a stack with settings."""
    with ExitStack() as exits:

        def start(**settings: str) -> ServiceProcesses:
            return exits.enter_context(run_services(redis_for_all.url, tmp_path / "volume", **settings))

        yield start


@pytest.mark.parametrize("stage", ["stt", "tts"])
def test_engine_that_hangs_fails_only_its_own_job(start: Start, stage: str) -> None:
    """An engine that exceeds its timeout is killed and fails its job after MAX_ATTEMPTS; its worker serves the next."""
    services = start(STT_TIMEOUT_S="0.5", STT_TIMEOUT_RATIO="0.1", TTS_TIMEOUT_S="0.5", MAX_ATTEMPTS="2")
    services.delay(stage, 60)
    job = services.wait_until_ended(services.upload())
    assert (job["status"], job["error"]["code"]) == ("failed", "engine_timeout")
    services.delay(stage, 0)
    assert services.wait_until_ended(services.upload())["status"] == "completed"
    assert services.processes[stage].poll() is None


def test_longer_recording_gets_more_time(start: Start) -> None:
    """An STT engine that takes longer than STT_TIMEOUT_S may do so for a long recording, by STT_TIMEOUT_RATIO."""
    services = start(STT_TIMEOUT_S="0.5", STT_TIMEOUT_RATIO="10", MAX_ATTEMPTS="1")
    services.delay("stt", 2)
    job = services.wait_until_ended(services.upload())
    assert job["status"] == "completed"
    assert job["input_duration_s"] * 10 > 2


def test_worker_whose_event_loop_is_blocked_exits(start: Start) -> None:
    """A worker whose engine blocks the event loop exits with a traceback, and another worker takes its task over."""
    services = start(LLM_ENGINE="blocking")
    services.delay("llm", 300)
    job_id = services.upload()
    services.wait_until_started(job_id, "llm")
    services.delay("llm", 0)
    services.start("llm-2")
    assert services.wait_until_ended(job_id)["status"] == "completed"
    assert services.processes.pop("llm").wait(30) == 1
    assert "blocking.py" in services.logs()
