"""The Idempotency-Key: a repeated upload is the first one."""

import asyncio
from collections.abc import Awaitable, Callable

import httpx
import pytest

from shared.queue.queue import Queue

Send = Callable[..., Awaitable[httpx.Response]]
Files = Callable[[], list[str]]


async def test_a_repeated_upload_returns_the_first_job(upload: Send, files: Files, fake_queue: Queue) -> None:
    """A client that did not hear the answer sends again, and one job, one task and one file are made of it."""
    first, second = await upload(key="one"), await upload(key="one")
    job_id = first.json()["job_id"]
    assert (second.status_code, second.json()) == (202, first.json())
    assert files() == [f"input/{job_id}"]
    assert (await fake_queue.depths())["stt"] == 1


async def test_uploads_at_the_same_time_become_one_job(upload: Send, files: Files, fake_queue: Queue) -> None:
    """Of ten that race with one key, all get the same job, and one file stays."""
    answers = await asyncio.gather(*(upload(key="one") for _ in range(10)))
    assert {answer.status_code for answer in answers} == {202}
    job_ids = {answer.json()["job_id"] for answer in answers}
    assert files() == [f"input/{job_id}" for job_id in job_ids]
    assert (await fake_queue.depths())["stt"] == 1


@pytest.mark.parametrize("change", ["recording", "field"])
async def test_another_upload_with_the_same_key_is_refused(change: str, upload: Send, wav: bytes, files: Files) -> None:
    """A key that is used for something else is the caller's mistake; the first job is left alone."""
    job_id = (await upload(key="one", language="en")).json()["job_id"]
    other = {"data": wav + b"x"} if change == "recording" else {}
    answer = await upload(key="one", language="en" if change == "recording" else "de", **other)
    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")
    assert files() == [f"input/{job_id}"]


async def test_another_key_is_another_job(upload: Send, files: Files) -> None:
    """The same recording may be asked about twice."""
    jobs = {(await upload(key=key)).json()["job_id"] for key in ("one", "two", "", "")}
    assert files() == sorted(f"input/{job_id}" for job_id in jobs)
    assert len(jobs) == 4


async def test_a_cancelled_job_still_stands_for_its_key(upload: Send, client: httpx.AsyncClient, files: Files) -> None:
    """A repeated upload does not bring back what its caller has cancelled, nor is it taken for another upload."""
    job_id = (await upload(key="one")).json()["job_id"]
    await client.delete(f"/jobs/{job_id}")
    again = await upload(key="one")
    assert (again.status_code, again.json()["job_id"]) == (202, job_id)
    assert files() == []


async def test_the_key_of_an_erased_job_is_free(
    upload: Send, client: httpx.AsyncClient, complete: Callable[[str], Awaitable[None]]
) -> None:
    """Once a job is gone, its key makes a new one."""
    job_id = (await upload(key="one")).json()["job_id"]
    await complete(job_id)
    await client.delete(f"/jobs/{job_id}")
    again = await upload(key="one")
    assert again.status_code == 202
    assert again.json()["job_id"] != job_id


async def test_a_key_may_be_of_any_characters(client: httpx.AsyncClient, wav: bytes) -> None:
    """255 bytes of any kind are a key."""
    headers = {b"Idempotency-Key": b"\xff\xc3\xa9 :*" + b"k" * 249}
    form = {"audio_file": ("a", wav)}
    answers = [await client.post("/transcribe", files=form, headers=headers) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [202, 202]
    assert answers[0].json()["job_id"] == answers[1].json()["job_id"]


async def test_an_over_long_key_is_refused(upload: Send, files: Files) -> None:
    """A key over 255 characters is 422, says so, and leaves nothing."""
    answer = await upload(key="k" * 256)
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (422, "invalid_request")
    assert problem["detail"] == "Correct the request: the header idempotency-key must be at most 255 characters long."
    assert files() == []
