"""Health probes: alive, and ready to serve."""

from collections.abc import Awaitable, Callable

import httpx
import pytest
from fakeredis import FakeServer

from shared.queue.messages import WorkerInfo
from shared.queue.queue import Queue
from shared.queue.stages import Stage


async def heartbeat(queue: Queue, *stages: Stage) -> None:
    """Register a worker for each stage."""
    for number, stage in enumerate(stages):
        await queue.heartbeat(f"{stage}-{number}", WorkerInfo(stage, f"{stage}-engine", "small"))


async def test_healthz_needs_no_workers(client: httpx.AsyncClient) -> None:
    """An API without workers is alive."""
    response = await client.get("/healthz")
    assert (response.status_code, response.json()) == (200, {"status": "ok"})


async def test_healthz_needs_no_redis(client: httpx.AsyncClient, fake_redis: FakeServer) -> None:
    """An API without Redis is alive, since restarting it would not bring Redis back."""
    fake_redis.connected = False
    assert (await client.get("/healthz")).status_code == 200


async def test_readyz_fails_without_workers(client: httpx.AsyncClient) -> None:
    """An API that has Redis but no workers is not ready."""
    response = await client.get("/readyz")
    readiness = response.json()
    assert (response.status_code, readiness["ready"], readiness["queue"]) == (503, False, True)
    assert {stage: state["workers"] for stage, state in readiness["stages"].items()} == {"stt": 0, "llm": 0, "tts": 0}


async def test_readyz_fails_while_a_stage_has_no_workers(client: httpx.AsyncClient, fake_queue: Queue) -> None:
    """An API is not ready while one stage has no workers, and the response shows which one."""
    await heartbeat(fake_queue, "stt", "tts")
    response = await client.get("/readyz")
    assert (response.status_code, response.json()["stages"]["llm"]["workers"]) == (503, 0)


async def test_readyz_succeeds_with_a_worker_in_each_stage(
    client: httpx.AsyncClient, fake_queue: Queue, upload: Callable[..., Awaitable[httpx.Response]]
) -> None:
    """A ready API lists the engines, the waiting tasks and the workers' warnings of each stage."""
    await heartbeat(fake_queue, "stt", "stt", "tts")
    await fake_queue.heartbeat("llm-0", WorkerInfo("llm", "offline", "", "No language model is configured."))
    await upload()
    response = await client.get("/readyz")
    assert response.status_code == 200
    assert response.json() == {
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


async def test_readyz_fails_once_the_last_worker_of_a_stage_has_left(
    client: httpx.AsyncClient, fake_queue: Queue
) -> None:
    """An API stops being ready when a stage's last worker deregisters."""
    await heartbeat(fake_queue, "stt", "llm", "tts")
    assert (await client.get("/readyz")).status_code == 200
    await fake_queue.deregister("llm-1", "llm")
    assert (await client.get("/readyz")).status_code == 503


async def test_readyz_fails_without_redis(client: httpx.AsyncClient, fake_redis: FakeServer) -> None:
    """An API without Redis is not ready, and the response names the queue as the cause."""
    fake_redis.connected = False
    response = await client.get("/readyz")
    assert (response.status_code, response.json()["queue"]) == (503, False)


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
async def test_a_probe_may_use_head(client: httpx.AsyncClient, path: str) -> None:
    """HEAD on a probe, as load balancers send it, gets the status of GET."""
    assert (await client.head(path)).status_code == (await client.get(path)).status_code
