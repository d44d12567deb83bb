"""Cancelling a job that runs: the work stops, the worker is free, and nothing of the job comes back."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from fakes import openai_server
from fakes.openai_server import Hang, OpenAiServer
from support.redis_server import RedisServer
from support.services import ServiceProcesses

pytestmark = pytest.mark.redis


@pytest.fixture
def model() -> Iterator[OpenAiServer]:
    with OpenAiServer("") as server:
        yield server


@pytest.fixture
def services(redis_for_all: RedisServer, tmp_path: Path, model: OpenAiServer) -> Iterator[ServiceProcesses]:
    """One worker a stage, one answer at a time, from a model server that does as it is told."""
    data_dir = tmp_path / "volume"
    data_dir.mkdir()
    address = {"LLM_ENGINE": "openai", "OPENAI_BASE_URL": f"{model.url}/v1", "LLM_CONCURRENCY": "1"}
    services = ServiceProcesses(redis_for_all.url, data_dir, **address)
    services.start()
    services.wait_until_ready()
    yield services
    services.stop()


def assert_erased(services: ServiceProcesses, job_id: str) -> None:
    job = services.status(job_id)
    assert (job["status"], job["transcript"], job["response"]) == ("cancelled", None, None)
    assert [name for name in services.files() if job_id in name] == []


def test_a_running_answer_is_stopped(services: ServiceProcesses, model: OpenAiServer) -> None:
    """The model's server sees the connection drop, and the worker answers the next question."""
    model.reply_with(openai_server.unfinished("It was a ", Hang()))
    job_id = services.upload()
    [request] = model.wait_for_request()
    services.client.delete(f"/jobs/{job_id}").raise_for_status()
    cancelled = time.monotonic()
    assert request.disconnected.wait(5)
    print(f"the model's stream was dropped {time.monotonic() - cancelled:.2f} s after the cancellation")
    assert_erased(services, job_id)

    model.reply_with(openai_server.answer("Here I am."))
    assert services.ended(services.upload())["status"] == "completed"
    assert_erased(services, job_id)


def test_a_segment_that_is_being_spoken_is_stopped(services: ServiceProcesses, model: OpenAiServer) -> None:
    """The worker does not speak on for nobody: the next answer is spoken at once."""
    services.delay("tts", 60)
    model.reply_with(openai_server.answer("One sentence. Another sentence. A third sentence."))
    job_id = services.upload()
    services.until_working(job_id, "tts")
    services.delay("tts", 0)
    services.client.delete(f"/jobs/{job_id}").raise_for_status()
    model.reply_with(openai_server.answer("Here I am."))
    job = services.ended(services.upload())
    assert (job["status"], job["response"]) == ("completed", "Here I am.")
    assert_erased(services, job_id)
