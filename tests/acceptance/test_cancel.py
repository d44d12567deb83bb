"""Cancellation of a running job: its work stops, its worker is free, and its data stays erased."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from fakes import openai_server
from fakes.openai_server import Hang, OpenAiServer
from support.redis_server import RedisServer
from support.services import ServiceProcesses, run_services

pytestmark = pytest.mark.redis


@pytest.fixture
def model() -> Iterator[OpenAiServer]:
    with OpenAiServer("") as server:
        yield server


@pytest.fixture
def services(redis_for_all: RedisServer, tmp_path: Path, model: OpenAiServer) -> Iterator[ServiceProcesses]:
    """One worker a stage, and one answer at a time, from a scripted model server."""
    settings = {"LLM_ENGINE": "openai", "OPENAI_BASE_URL": f"{model.url}/v1", "LLM_CONCURRENCY": "1"}
    with run_services(redis_for_all.url, tmp_path / "volume", **settings) as services:
        yield services


def assert_erased(services: ServiceProcesses, job_id: str) -> None:
    job = services.status(job_id)
    assert (job["status"], job["transcript"], job["response"]) == ("cancelled", None, None)
    assert [name for name in services.files() if job_id in name] == []


def test_cancellation_stops_a_running_answer(services: ServiceProcesses, model: OpenAiServer) -> None:
    """A cancelled answer closes the connection to the model's server within 5 s, and frees its worker."""
    model.reply_with(openai_server.unfinished("It was a ", Hang()))
    job_id = services.upload()
    [request] = model.wait_for_request()
    services.client.delete(f"/jobs/{job_id}").raise_for_status()
    cancelled_at = time.monotonic()
    assert request.disconnected.wait(5)
    print(f"the model's stream was closed {time.monotonic() - cancelled_at:.2f} s after the cancellation")
    assert_erased(services, job_id)

    model.reply_with(openai_server.answer("Here I am."))
    assert services.wait_until_ended(services.upload())["status"] == "completed"
    assert_erased(services, job_id)


def test_cancellation_stops_a_running_synthesis(services: ServiceProcesses, model: OpenAiServer) -> None:
    """A TTS worker whose job is cancelled stops its synthesis, and synthesizes the next answer at once."""
    services.delay("tts", 60)
    model.reply_with(openai_server.answer("One sentence. Another sentence. A third sentence."))
    job_id = services.upload()
    services.wait_until_started(job_id, "tts")
    services.delay("tts", 0)
    services.client.delete(f"/jobs/{job_id}").raise_for_status()
    model.reply_with(openai_server.answer("Here I am."))
    job = services.wait_until_ended(services.upload())
    assert (job["status"], job["response"]) == ("completed", "Here I am.")
    assert_erased(services, job_id)
