"""Idempotency-Key: a repeated upload returns the first job."""

import asyncio
from collections.abc import Awaitable, Callable

import httpx
import pytest

from shared.queue.queue import Queue

Send = Callable[..., Awaitable[httpx.Response]]
Files = Callable[[], list[str]]


async def test_a_repeated_upload_returns_the_first_job(upload: Send, files: Files, fake_queue: Queue) -> None:
    """A client that lost the response and uploads again gets the first job, and only one file and one task exist."""
    first = await upload(key="one")
    second = await upload(key="one")
    job_id = first.json()["job_id"]
    assert (second.status_code, second.json()) == (202, first.json())
    assert files() == [f"input/{job_id}"]
    assert (await fake_queue.depths())["stt"] == 1


async def test_simultaneous_uploads_become_one_job(upload: Send, files: Files, fake_queue: Queue) -> None:
    """Ten simultaneous uploads with one key get the same job, and one file stays."""
    responses = await asyncio.gather(*(upload(key="one") for _ in range(10)))
    assert {response.status_code for response in responses} == {202}
    job_ids = {response.json()["job_id"] for response in responses}
    assert files() == [f"input/{job_id}" for job_id in job_ids]
    assert (await fake_queue.depths())["stt"] == 1


@pytest.mark.parametrize("change", ["recording", "field"])
async def test_another_upload_with_the_same_key_is_refused(change: str, upload: Send, wav: bytes, files: Files) -> None:
    """A key that is reused with another recording or field is refused, and the first job is left alone."""
    job_id = (await upload(key="one", language="en")).json()["job_id"]
    other_recording = {"data": wav + b"x"} if change == "recording" else {}
    response = await upload(key="one", language="en" if change == "recording" else "de", **other_recording)
    assert (response.status_code, response.json()["code"]) == (422, "idempotency_key_reused")
    assert files() == [f"input/{job_id}"]


async def test_another_key_is_another_job(upload: Send, files: Files) -> None:
    """The same recording under another key, or without a key, makes another job."""
    jobs = {(await upload(key=key)).json()["job_id"] for key in ("one", "two", "", "")}
    assert files() == sorted(f"input/{job_id}" for job_id in jobs)
    assert len(jobs) == 4


async def test_a_cancelled_job_keeps_its_key(upload: Send, client: httpx.AsyncClient, files: Files) -> None:
    """A repeated upload of a cancelled job returns that job, and does not restart it."""
    job_id = (await upload(key="one")).json()["job_id"]
    await client.delete(f"/jobs/{job_id}")
    repeated = await upload(key="one")
    assert (repeated.status_code, repeated.json()["job_id"]) == (202, job_id)
    assert files() == []


async def test_the_key_of_an_erased_job_is_free(
    upload: Send, client: httpx.AsyncClient, complete: Callable[[str], Awaitable[None]]
) -> None:
    """A key whose job has been erased makes a new job."""
    job_id = (await upload(key="one")).json()["job_id"]
    await complete(job_id)
    await client.delete(f"/jobs/{job_id}")
    repeated = await upload(key="one")
    assert repeated.status_code == 202
    assert repeated.json()["job_id"] != job_id


async def test_a_key_may_hold_any_bytes(client: httpx.AsyncClient, wav: bytes) -> None:
    """A key of 255 bytes of any kind is accepted."""
    headers = {b"Idempotency-Key": b"\xff\xc3\xa9 :*" + b"k" * 249}
    form = {"audio_file": ("a", wav)}
    responses = [await client.post("/transcribe", files=form, headers=headers) for _ in range(2)]
    assert [response.status_code for response in responses] == [202, 202]
    assert responses[0].json()["job_id"] == responses[1].json()["job_id"]


async def test_a_key_that_is_too_long_is_refused(upload: Send, files: Files) -> None:
    """A key of more than 255 characters is 422 with that limit in the detail, and leaves no file."""
    response = await upload(key="k" * 256)
    problem = response.json()
    assert (response.status_code, problem["code"]) == (422, "invalid_request")
    assert problem["detail"] == "Correct the request: the header idempotency-key must be at most 255 characters long."
    assert files() == []
