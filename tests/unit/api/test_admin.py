"""Operations over HTTP: what stands in the queues, what was set aside, and trying it again."""

from collections.abc import Awaitable, Callable

import httpx
import pytest

from shared.queue.messages import Claim, QueueStats, WorkerInfo
from shared.queue.queue import Queue
from shared.queue.stages import Stage, task_name

Send = Callable[..., Awaitable[httpx.Response]]
Claiming = Callable[[Stage], Awaitable[Claim]]
Work = Callable[..., Awaitable[Claim]]


@pytest.fixture
async def failed(upload: Send, work: Work, claim: Claiming, fake_queue: Queue) -> str:
    """A job that was heard, and whose answer failed."""
    job_id = str((await upload()).json()["job_id"])
    await work("stt", {"transcript": "What is it?"}, [(task_name("llm", job_id), "")])
    await fake_queue.dead_letter("worker", await claim("llm"), "model_refused", "The server rejected the request.")
    return job_id


async def test_the_queues_are_shown_by_stage(client: httpx.AsyncClient, upload: Send, fake_queue: Queue) -> None:
    """What waits, who works, and the totals."""
    await upload()
    await fake_queue.heartbeat("worker", WorkerInfo("llm", "mind", "small"))
    told = (await client.get("/queues")).json()
    assert told["stages"]["stt"] == {
        "waiting": 1,
        "oldest_s": pytest.approx(0, abs=5),
        "working": 0,
        "done_per_min": 0,
        "workers": 0,
    }
    assert told["workers"] == [{"name": "worker", "stage": "llm", "engine": "mind", "model": "small", "working": 0}]
    assert (told["live"], told["delayed"], told["dead"]) == (1, 0, 0)


async def test_what_failed_is_listed_with_its_reason(client: httpx.AsyncClient, failed: str) -> None:
    """All of it, or what belongs to one job."""
    [letter] = (await client.get("/dead-letters")).json()
    assert (letter["job_id"], letter["stage"], letter["code"]) == (failed, "llm", "model_refused")
    assert (await client.get(f"/dead-letters/{failed}")).json() == [letter]


async def test_a_failed_job_is_tried_again_from_where_it_failed(
    client: httpx.AsyncClient, failed: str, fake_queue: Queue
) -> None:
    """It waits for the stage that failed, with what was heard before."""
    answer = await client.post(f"/jobs/{failed}/retry")
    assert (answer.status_code, answer.json()["status_url"]) == (202, f"/status/{failed}")
    job = (await client.get(f"/status/{failed}")).json()
    assert (job["status"], job["stage"], job["transcript"], job["error"]) == ("pending", "llm", "What is it?", None)
    assert (await fake_queue.depths())["llm"] == 1
    assert (await client.get("/dead-letters")).json() == []


@pytest.mark.parametrize(
    ("load", "code"),
    [(QueueStats(1000, 1, memory_full=False), "queue_full"), (QueueStats(1, 1, memory_full=True), "queue_memory_full")],
    ids=["jobs", "memory"],
)
async def test_a_failed_job_needs_room_to_be_tried_again(
    client: httpx.AsyncClient,
    failed: str,
    fake_queue: Queue,
    monkeypatch: pytest.MonkeyPatch,
    load: QueueStats,
    code: str,
) -> None:
    """It is one more live job, and is refused as a new one is; what was set aside stays for later."""

    async def told() -> QueueStats:
        return load

    with monkeypatch.context() as patch:
        patch.setattr(fake_queue, "stats", told)
        answer = await client.post(f"/jobs/{failed}/retry")
    assert (answer.status_code, answer.json()["code"]) == (503, code)
    assert int(answer.headers["retry-after"]) > 0
    assert (await client.get(f"/status/{failed}")).json()["status"] == "failed"
    assert (await client.post(f"/jobs/{failed}/retry")).status_code == 202


async def test_only_a_failed_job_is_tried_again(client: httpx.AsyncClient, upload: Send, failed: str) -> None:
    """Each refusal says why."""
    waiting = (await upload()).json()["job_id"]
    await client.delete(f"/dead-letters/{failed}")
    answers = [await client.post(f"/jobs/{job_id}/retry") for job_id in (waiting, failed, "0" * 32, "..%2f")]
    told = [(answer.status_code, answer.json()["code"]) for answer in answers]
    assert told[:3] == [(409, "job_not_failed"), (410, "retry_input_erased"), (404, "job_not_found")]
    assert told[3][0] == 404


async def test_what_failed_is_dropped(client: httpx.AsyncClient, failed: str) -> None:
    """One job's tasks, after which there are none; its status stays."""
    assert (await client.delete(f"/dead-letters/{failed}")).json() == {"purged": 1}
    answers = [await client.delete(f"/dead-letters/{failed}"), await client.get(f"/dead-letters/{failed}")]
    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [(404, "not_dead_lettered")] * 2
    assert (await client.get(f"/status/{failed}")).json()["error"]["code"] == "model_refused"


async def test_all_that_failed_is_not_dropped_by_mistake(client: httpx.AsyncClient, failed: str) -> None:
    """It takes the word `all`."""
    assert (await client.delete("/dead-letters")).status_code == 422
    assert len((await client.get("/dead-letters")).json()) == 1
    assert (await client.delete("/dead-letters", params={"jobs": "all"})).json() == {"purged": 1}
    assert (await client.get("/dead-letters")).json() == []


@pytest.mark.parametrize("limit", ["0", "1001", "many"])
async def test_a_limit_that_is_none_is_refused(client: httpx.AsyncClient, limit: str) -> None:
    """The answer says what it must be."""
    answer = await client.get("/dead-letters", params={"limit": limit})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert "limit" in answer.json()["detail"]
