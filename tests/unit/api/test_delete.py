"""Removing a job: what runs is cancelled, what is known is erased."""

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
Work = Callable[..., Awaitable[Claim]]


@pytest.fixture
async def job_id(upload: Send) -> str:
    return str((await upload(system_prompt="Be a pirate.")).json()["job_id"])


async def test_a_waiting_job_is_cancelled(
    client: httpx.AsyncClient, job_id: str, files: Files, fake_queue: Queue
) -> None:
    """It leaves the list and the volume, and stays visible as cancelled."""
    answer = await client.delete(f"/jobs/{job_id}")
    assert (answer.status_code, answer.content) == (204, b"")
    assert files() == []
    assert (await fake_queue.depths())["stt"] == 0
    assert (await client.get(f"/status/{job_id}")).json()["status"] == "cancelled"


async def test_the_text_of_a_running_job_is_erased(
    client: httpx.AsyncClient, job_id: str, work: Work, volume: Path, files: Files, fake_queue: Queue
) -> None:
    """Nothing that was said, asked or spoken is left of it, in Redis or on the volume."""
    await work("stt", {"transcript": "My secret."}, [(task_name("llm", job_id), "")])
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
    """What was in a worker's hands is not committed any more."""
    claimed = await claim("stt")
    await client.delete(f"/jobs/{job_id}")
    outcome = Outcome({"transcript": "My secret."}, [(task_name("llm", job_id), "")])
    assert await fake_queue.commit("worker", claimed, outcome) != "committed"
    job = (await client.get(f"/status/{job_id}")).json()
    assert (job["status"], job["transcript"]) == ("cancelled", None)


async def test_a_completed_job_is_gone(
    client: httpx.AsyncClient, job_id: str, complete: Callable[[str], Awaitable[None]], files: Files
) -> None:
    """An ended job is erased altogether, recording and answer, and its id is unknown from then on."""
    await complete(job_id)
    assert len(files()) == 2
    assert (await client.delete(f"/jobs/{job_id}")).status_code == 204
    assert files() == []
    assert (await client.get(f"/status/{job_id}")).status_code == 404
    assert (await client.get(f"/audio/{job_id}")).status_code == 404
    assert (await client.delete(f"/jobs/{job_id}")).status_code == 404


async def test_a_failed_job_is_gone(
    client: httpx.AsyncClient, job_id: str, files: Files, fake_queue: Queue, claim: Callable[[Stage], Awaitable[Claim]]
) -> None:
    """What failed is erased like what succeeded."""
    claimed = await claim("stt")
    await fake_queue.dead_letter("worker", claimed, "no_speech", "No speech was found.")
    await client.delete(f"/jobs/{job_id}")
    assert files() == []
    assert (await client.get(f"/status/{job_id}")).status_code == 404


async def test_a_job_that_is_tried_again_meanwhile_is_cancelled(
    client: httpx.AsyncClient,
    job_id: str,
    files: Files,
    fake_queue: Queue,
    claim: Callable[[Stage], Awaitable[Claim]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Who was told that it is deleted can rely on it."""
    claimed = await claim("stt")
    await fake_queue.dead_letter("worker", claimed, "engine_failed", "It broke.")
    forget = fake_queue.erase

    async def forget_late(job: str, *, with_turn: bool) -> bool:
        await QueueAdmin(fake_queue).retry_job(job, max_live=1000)
        return await forget(job, with_turn=with_turn)

    monkeypatch.setattr(fake_queue, "erase", forget_late)
    assert (await client.delete(f"/jobs/{job_id}")).status_code == 204
    assert files() == []
    assert (await client.get(f"/status/{job_id}")).json()["status"] == "cancelled"


async def test_deleting_twice_erases_even_the_mark(client: httpx.AsyncClient, job_id: str) -> None:
    """A cancelled job has ended, so that a second removal leaves no trace of it."""
    statuses = [(await client.delete(f"/jobs/{job_id}")).status_code for _ in range(3)]
    assert statuses == [204, 204, 404]


async def test_other_jobs_are_left_alone(client: httpx.AsyncClient, job_id: str, upload: Send, files: Files) -> None:
    """Only the named job is removed."""
    other = (await upload()).json()["job_id"]
    await client.delete(f"/jobs/{job_id}")
    assert files() == [f"input/{other}"]
    assert (await client.get(f"/status/{other}")).json()["status"] == "pending"
