"""Health: alive, and able to serve."""

from collections.abc import Awaitable, Callable

import httpx
import pytest
from fakeredis import FakeServer

from shared.queue.messages import WorkerInfo
from shared.queue.queue import Queue
from shared.queue.stages import Stage


async def beat(queue: Queue, *stages: Stage) -> None:
    for number, stage in enumerate(stages):
        await queue.heartbeat(f"{stage}-{number}", WorkerInfo(stage, f"{stage}-engine", "small"))


async def test_a_process_that_answers_is_alive(client: httpx.AsyncClient) -> None:
    """Alive needs no workers."""
    answer = await client.get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


async def test_a_process_is_alive_without_redis(client: httpx.AsyncClient, fake_redis: FakeServer) -> None:
    """Restarting the API would not bring Redis back."""
    fake_redis.connected = False
    assert (await client.get("/healthz")).status_code == 200


async def test_without_workers_nothing_is_ready(client: httpx.AsyncClient) -> None:
    """Redis alone cannot serve a job."""
    answer = await client.get("/readyz")
    readiness = answer.json()
    assert (answer.status_code, readiness["ready"], readiness["queue"]) == (503, False, True)
    assert {stage: state["workers"] for stage, state in readiness["stages"].items()} == {"stt": 0, "llm": 0, "tts": 0}


async def test_one_stage_without_workers_is_not_ready(client: httpx.AsyncClient, fake_queue: Queue) -> None:
    """Every stage is needed, and the answer shows which one is missing."""
    await beat(fake_queue, "stt", "tts")
    answer = await client.get("/readyz")
    assert (answer.status_code, answer.json()["stages"]["llm"]["workers"]) == (503, 0)


async def test_with_a_worker_in_each_stage_jobs_are_served(
    client: httpx.AsyncClient, fake_queue: Queue, upload: Callable[..., Awaitable[httpx.Response]]
) -> None:
    """Ready shows who works with what, what waits, and what whoever runs it should know."""
    await beat(fake_queue, "stt", "stt", "tts")
    await fake_queue.heartbeat("llm-0", WorkerInfo("llm", "offline", "", "No language model is configured."))
    await upload()
    answer = await client.get("/readyz")
    assert answer.status_code == 200
    assert answer.json() == {
        "ready": True,
        "queue": True,
        "stages": {
            "stt": {
                "workers": 2,
                "waiting": 1,
                "engines": [{"engine": "stt-engine", "model": "small", "workers": 2}],
                "warnings": [],
            },
            "llm": {
                "workers": 1,
                "waiting": 0,
                "engines": [{"engine": "offline", "model": "", "workers": 1}],
                "warnings": ["No language model is configured."],
            },
            "tts": {
                "workers": 1,
                "waiting": 0,
                "engines": [{"engine": "tts-engine", "model": "small", "workers": 1}],
                "warnings": [],
            },
        },
    }


async def test_a_worker_that_has_left_does_not_count(client: httpx.AsyncClient, fake_queue: Queue) -> None:
    """Ready ends with the last worker of a stage."""
    await beat(fake_queue, "stt", "llm", "tts")
    assert (await client.get("/readyz")).status_code == 200
    await fake_queue.deregister("llm-1", "llm")
    assert (await client.get("/readyz")).status_code == 503


async def test_without_redis_nothing_is_ready(client: httpx.AsyncClient, fake_redis: FakeServer) -> None:
    """503 says that it is the queue that is missing."""
    fake_redis.connected = False
    answer = await client.get("/readyz")
    assert (answer.status_code, answer.json()["queue"]) == (503, False)


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
async def test_a_probe_may_ask_for_the_head_alone(client: httpx.AsyncClient, path: str) -> None:
    """Load balancers probe with HEAD, and get what GET gets."""
    assert (await client.head(path)).status_code == (await client.get(path)).status_code
