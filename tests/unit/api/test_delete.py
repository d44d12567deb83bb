"""Deleting a job: a running one is cancelled, and its files and texts are erased."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx
import pytest

from shared.queue.admin import QueueAdmin
from shared.queue.messages import Claim, Outcome
from shared.queue.queue import Queue
from shared.queue.stages import Stage, task_name

Send = Callable[..., Awaitable[httpx.Response]]
Files = Callable[[], list[str]]
RunTask = Callable[..., Awaitable[Claim]]


@pytest.fixture
async def job_id(upload: Send) -> str:
    return str((await upload(system_prompt="Be a pirate.")).json()["job_id"])


async def test_a_waiting_job_is_cancelled(
    client: httpx.AsyncClient, job_id: str, files: Files, fake_queue: Queue
) -> None:
    """A deleted job that was waiting leaves the queue and the volume, and stays visible as cancelled."""
    response = await client.delete(f"/jobs/{job_id}")
    assert (response.status_code, response.content) == (204, b"")
    assert files() == []
    assert (await fake_queue.depths())["stt"] == 0
    assert (await client.get(f"/status/{job_id}")).json()["status"] == "cancelled"


async def test_the_text_of_a_running_job_is_erased(
    client: httpx.AsyncClient, job_id: str, run_task: RunTask, volume: Path, files: Files, fake_queue: Queue
) -> None:
    """A deleted job that was running leaves no transcript, prompt or segment in Redis or on the volume."""
    await run_task("stt", {"transcript": "My secret."}, [(task_name("llm", job_id), "")])
    segment = volume / "work" / job_id / "0000-token.wav"
    segment.parent.mkdir()
    segment.write_bytes(b"RIFF")
    await client.delete(f"/jobs/{job_id}")
    job = (await client.get(f"/status/{job_id}")).json()
    assert (job["status"], job["transcript"]) == ("cancelled", None)
    assert not {"transcript", "system_prompt"} & set(await fake_queue.fields(job_id))
    assert files() == []


async def test_a_worker_cannot_bring_a_cancelled_job_back(
    client: httpx.AsyncClient,
    job_id: str,
    fake_queue: Queue,
    claim: Callable[[Stage], Awaitable[Claim]],
) -> None:
    """A worker that holds a task of a cancelled job cannot commit it."""
    task = await claim("stt")
    await client.delete(f"/jobs/{job_id}")
    outcome = Outcome({"transcript": "My secret."}, [(task_name("llm", job_id), "")])
    assert await fake_queue.commit("worker", task, outcome) != "committed"
    job = (await client.get(f"/status/{job_id}")).json()
    assert (job["status"], job["transcript"]) == ("cancelled", None)


async def test_a_completed_job_is_erased(
    client: httpx.AsyncClient, job_id: str, complete: Callable[[str], Awaitable[None]], files: Files
) -> None:
    """A deleted job that had completed is erased with recording and answer, and its id is unknown from then on."""
    await complete(job_id)
    assert len(files()) == 2
    assert (await client.delete(f"/jobs/{job_id}")).status_code == 204
    assert files() == []
    assert (await client.get(f"/status/{job_id}")).status_code == 404
    assert (await client.get(f"/audio/{job_id}")).status_code == 404
    assert (await client.delete(f"/jobs/{job_id}")).status_code == 404


async def test_a_failed_job_is_erased(
    client: httpx.AsyncClient, job_id: str, files: Files, fake_queue: Queue, claim: Callable[[Stage], Awaitable[Claim]]
) -> None:
    """A deleted job that had failed is erased like a completed one."""
    task = await claim("stt")
    await fake_queue.dead_letter("worker", task, "no_speech", "No speech was found.")
    await client.delete(f"/jobs/{job_id}")
    assert files() == []
    assert (await client.get(f"/status/{job_id}")).status_code == 404


async def test_a_job_that_is_retried_during_its_deletion_is_cancelled(
    client: httpx.AsyncClient,
    job_id: str,
    files: Files,
    fake_queue: Queue,
    claim: Callable[[Stage], Awaitable[Claim]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A failed job that an operator retries while a client deletes it ends as cancelled, without files."""
    task = await claim("stt")
    await fake_queue.dead_letter("worker", task, "engine_failed", "It broke.")
    erase = fake_queue.erase

    async def retry_then_erase(job: str, *, with_turn: bool) -> bool:
        await QueueAdmin(fake_queue).retry_job(job, max_live=1000)
        return await erase(job, with_turn=with_turn)

    monkeypatch.setattr(fake_queue, "erase", retry_then_erase)
    assert (await client.delete(f"/jobs/{job_id}")).status_code == 204
    assert files() == []
    assert (await client.get(f"/status/{job_id}")).json()["status"] == "cancelled"


async def test_deleting_a_cancelled_job_erases_it(client: httpx.AsyncClient, job_id: str) -> None:
    """A cancelled job has ended, so that a second deletion erases it and a third one finds nothing."""
    statuses = [(await client.delete(f"/jobs/{job_id}")).status_code for _ in range(3)]
    assert statuses == [204, 204, 404]


async def test_other_jobs_are_left_alone(client: httpx.AsyncClient, job_id: str, upload: Send, files: Files) -> None:
    """Deleting one job leaves another one's recording and status alone."""
    other_job = (await upload()).json()["job_id"]
    await client.delete(f"/jobs/{job_id}")
    assert files() == [f"input/{other_job}"]
    assert (await client.get(f"/status/{other_job}")).json()["status"] == "pending"
