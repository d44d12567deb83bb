"""Operating over HTTP: the queues, dead letters, and retrying failed jobs."""

from collections.abc import Awaitable, Callable

import httpx
import pytest

from shared.queue.messages import Claim, QueueStats, WorkerInfo
from shared.queue.queue import Queue
from shared.queue.stages import Stage, task_name

Send = Callable[..., Awaitable[httpx.Response]]
ClaimNext = Callable[[Stage], Awaitable[Claim]]
RunTask = Callable[..., Awaitable[Claim]]


@pytest.fixture
async def failed_job(upload: Send, run_task: RunTask, claim: ClaimNext, fake_queue: Queue) -> str:
    """A job that was transcribed, and whose answer failed."""
    job_id = str((await upload()).json()["job_id"])
    await run_task("stt", {"transcript": "What is it?"}, [(task_name("llm", job_id), "")])
    await fake_queue.dead_letter("worker", await claim("llm"), "model_refused", "The server rejected the request.")
    return job_id


async def test_the_queues_are_shown_by_stage(client: httpx.AsyncClient, upload: Send, fake_queue: Queue) -> None:
    """GET /queues shows the waiting tasks and workers of each stage, and the totals."""
    await upload()
    await fake_queue.heartbeat("worker", WorkerInfo("llm", "mind", "small"))
    queues = (await client.get("/queues")).json()
    assert queues["stages"]["stt"] == {
        "waiting": 1,
        "oldest_s": pytest.approx(0, abs=5),
        "working": 0,
        "done_per_min": 0,
        "workers": 0,
    }
    assert queues["workers"] == [{"name": "worker", "stage": "llm", "engine": "mind", "model": "small", "working": 0}]
    assert (queues["live"], queues["delayed"], queues["dead"]) == (1, 0, 0)


async def test_dead_letters_are_listed_with_their_reason(client: httpx.AsyncClient, failed_job: str) -> None:
    """The dead letters of all jobs and of one job carry the stage and the error code."""
    [dead_letter] = (await client.get("/dead-letters")).json()
    assert (dead_letter["job_id"], dead_letter["stage"], dead_letter["code"]) == (failed_job, "llm", "model_refused")
    assert (await client.get(f"/dead-letters/{failed_job}")).json() == [dead_letter]


async def test_a_failed_job_is_retried_from_the_stage_that_failed(
    client: httpx.AsyncClient, failed_job: str, fake_queue: Queue
) -> None:
    """A retried job waits for the stage that failed, and keeps the results of the stages before it."""
    response = await client.post(f"/jobs/{failed_job}/retry")
    assert (response.status_code, response.json()["status_url"]) == (202, f"/status/{failed_job}")
    job = (await client.get(f"/status/{failed_job}")).json()
    assert (job["status"], job["stage"], job["transcript"], job["error"]) == ("pending", "llm", "What is it?", None)
    assert (await fake_queue.depths())["llm"] == 1
    assert (await client.get("/dead-letters")).json() == []


@pytest.mark.parametrize(
    ("stats_when_full", "code"),
    [(QueueStats(1000, 1, memory_full=False), "queue_full"), (QueueStats(1, 1, memory_full=True), "queue_memory_full")],
    ids=["jobs", "memory"],
)
async def test_a_retry_needs_room_in_the_queue(
    client: httpx.AsyncClient,
    failed_job: str,
    fake_queue: Queue,
    monkeypatch: pytest.MonkeyPatch,
    stats_when_full: QueueStats,
    code: str,
) -> None:
    """A retry is refused like a new job when the queue is full, and the dead letter stays for a later retry."""

    async def stats() -> QueueStats:
        return stats_when_full

    with monkeypatch.context() as patch:
        patch.setattr(fake_queue, "stats", stats)
        response = await client.post(f"/jobs/{failed_job}/retry")
    assert (response.status_code, response.json()["code"]) == (503, code)
    assert int(response.headers["retry-after"]) > 0
    assert (await client.get(f"/status/{failed_job}")).json()["status"] == "failed"
    assert (await client.post(f"/jobs/{failed_job}/retry")).status_code == 202


async def test_only_a_failed_job_can_be_retried(client: httpx.AsyncClient, upload: Send, failed_job: str) -> None:
    """A retry of a job that has not failed, was purged or never existed is refused, each with its own code."""
    waiting_job = (await upload()).json()["job_id"]
    await client.delete(f"/dead-letters/{failed_job}")
    responses = [await client.post(f"/jobs/{job_id}/retry") for job_id in (waiting_job, failed_job, "0" * 32, "..%2f")]
    refusals = [(response.status_code, response.json()["code"]) for response in responses]
    assert refusals[:3] == [(409, "job_not_failed"), (410, "retry_input_erased"), (404, "job_not_found")]
    assert refusals[3][0] == 404


async def test_a_jobs_dead_letters_are_purged(client: httpx.AsyncClient, failed_job: str) -> None:
    """Deleting a job's dead letters empties its list, and keeps the job's status."""
    assert (await client.delete(f"/dead-letters/{failed_job}")).json() == {"purged": 1}
    responses = [await client.delete(f"/dead-letters/{failed_job}"), await client.get(f"/dead-letters/{failed_job}")]
    assert [(response.status_code, response.json()["code"]) for response in responses] == [
        (404, "not_dead_lettered")
    ] * 2
    assert (await client.get(f"/status/{failed_job}")).json()["error"]["code"] == "model_refused"


async def test_all_dead_letters_are_purged_only_with_jobs_all(client: httpx.AsyncClient, failed_job: str) -> None:
    """DELETE /dead-letters without `jobs=all` is refused, and with it removes all."""
    assert (await client.delete("/dead-letters")).status_code == 422
    assert len((await client.get("/dead-letters")).json()) == 1
    assert (await client.delete("/dead-letters", params={"jobs": "all"})).json() == {"purged": 1}
    assert (await client.get("/dead-letters")).json() == []


@pytest.mark.parametrize("limit", ["0", "1001", "many"])
async def test_an_invalid_limit_is_refused(client: httpx.AsyncClient, limit: str) -> None:
    """A limit out of bounds or not a number is refused, and the detail names the parameter."""
    response = await client.get("/dead-letters", params={"limit": limit})
    assert (response.status_code, response.json()["code"]) == (422, "invalid_request")
    assert "limit" in response.json()["detail"]
