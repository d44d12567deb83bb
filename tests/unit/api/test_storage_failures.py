"""Uploads while the queue is full, Redis is unreachable or the disk is full."""

import asyncio
import errno
import os
from collections.abc import Awaitable, Callable

import httpx
import pytest
from fakeredis import FakeServer
from fastapi import FastAPI

from api.intake import upload_slots
from api.settings import ApiSettings
from shared.errors import QueueUnavailable
from shared.queue.queue import Queue
from shared.storage.local import LocalStorage

Send = Callable[..., Awaitable[httpx.Response]]
Files = Callable[[], list[str]]


class TestFullQueue:
    """A queue with room for one job."""

    @pytest.fixture
    def settings(self, settings: ApiSettings) -> ApiSettings:
        return settings.model_copy(update={"max_live_jobs": 1})

    async def test_one_job_too_many_is_refused(self, upload: Send, files: Files) -> None:
        """An upload to a full queue is 503 with Retry-After, and its recording is removed."""
        job_id = (await upload()).json()["job_id"]
        response = await upload()
        assert (response.status_code, response.json()["code"]) == (503, "queue_full")
        assert int(response.headers["retry-after"]) > 0
        assert files() == [f"input/{job_id}"]

    async def test_there_is_room_again_once_a_job_has_ended(
        self, upload: Send, complete: Callable[[str], Awaitable[None]]
    ) -> None:
        """An upload is accepted once the queue's only job has ended."""
        await complete((await upload()).json()["job_id"])
        assert (await upload()).status_code == 202

    async def test_a_repeated_upload_is_accepted_by_a_full_queue(self, upload: Send) -> None:
        """A repeated upload of an accepted job returns that job although the queue is full."""
        first = await upload(key="one")
        assert (await upload(key="one")).json() == first.json()


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/transcribe"),
        ("GET", f"/status/{'a' * 32}"),
        ("GET", f"/status/{'a' * 32}?wait=9"),
        ("GET", f"/audio/{'a' * 32}"),
        ("DELETE", f"/jobs/{'a' * 32}"),
    ],
)
async def test_without_redis_every_call_gets_503(
    method: str, path: str, client: httpx.AsyncClient, fake_redis: FakeServer, wav: bytes, files: Files
) -> None:
    """Every call without Redis is 503 with Retry-After, and no upload is stored."""
    fake_redis.connected = False
    response = await client.request(method, path, files={"audio_file": ("a", wav)} if method == "POST" else None)
    assert (response.status_code, response.json()["code"]) == (503, "queue_unavailable")
    assert int(response.headers["retry-after"]) > 0
    assert files() == []


async def test_uploads_are_accepted_once_redis_is_back(upload: Send, fake_redis: FakeServer) -> None:
    """An upload after an outage of Redis is accepted without a restart."""
    fake_redis.connected = False
    assert (await upload()).status_code == 503
    fake_redis.connected = True
    assert (await upload()).status_code == 202


async def test_the_recording_of_an_uncertain_job_is_kept(
    upload: Send, fake_queue: Queue, monkeypatch: pytest.MonkeyPatch, files: Files
) -> None:
    """A recording is kept when the connection to Redis breaks during the submission, since the job may have been
    accepted."""

    async def fail(*_args: object, **_options: object) -> str:
        raise QueueUnavailable

    monkeypatch.setattr(fake_queue, "submit", fail)
    assert (await upload()).json()["code"] == "queue_unavailable"
    assert len(files()) == 1


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
@pytest.mark.parametrize("size", [100, 5_000_000])
async def test_a_full_disk_gets_507(
    number: int, size: int, upload: Send, files: Files, monkeypatch: pytest.MonkeyPatch, wav: bytes
) -> None:
    """An upload to a full disk is 507 and leaves no partial file, and the next one is accepted once there is space."""

    def fail(_handle: int) -> None:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        response = await upload(wav + bytes(size))
    assert (response.status_code, response.json()["code"]) == (507, "storage_full")
    assert files() == []
    assert (await upload()).status_code == 202


async def test_an_unexpected_error_reveals_nothing(
    upload: Send, files: Files, monkeypatch: pytest.MonkeyPatch, volume: object
) -> None:
    """An upload that fails by an unexpected exception is 500 as a problem without the exception's text, and leaves no
    file."""

    def fail(*_args: object) -> None:
        raise RuntimeError(f"a secret in {volume}")

    monkeypatch.setattr(LocalStorage, "upload_writer", fail)
    response = await upload()
    assert response.status_code == 500
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["code"] == "internal_error"
    assert "secret" not in response.text
    assert str(volume) not in response.text
    assert files() == []


async def test_a_stalled_upload_gets_408(
    app: FastAPI, build_form: Callable[..., bytes], wav: bytes, files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client that stops sending in the middle gets 408, and its partial file is removed."""
    monkeypatch.setattr(upload_slots, "_IDLE_S", 0.05)
    upload, _ = await start_upload(app, build_form(('name="audio_file"', wav))[:200])
    assert await asyncio.wait_for(upload, 5) == 408
    assert files() == []


async def test_an_upload_that_is_cancelled_leaves_no_file(
    app: FastAPI, build_form: Callable[..., bytes], wav: bytes, files: Files
) -> None:
    """An upload that is cancelled because the server stops leaves no partial file."""
    upload, is_waiting = await start_upload(app, build_form(('name="audio_file"', wav))[:200])
    await is_waiting.wait()
    assert len(files()) == 1
    upload.cancel()
    await asyncio.gather(upload, return_exceptions=True)
    assert files() == []


async def start_upload(app: FastAPI, half: bytes) -> tuple["asyncio.Task[int]", asyncio.Event]:
    """Send half of a form and then nothing; return the task of the status, and an event for when more is awaited."""
    is_waiting = asyncio.Event()
    messages = [{"type": "http.request", "body": half, "more_body": True}]
    statuses: list[int] = []

    async def receive() -> dict[str, object]:
        if messages:
            return messages.pop()
        is_waiting.set()
        if statuses:  # disconnect after the response, as a real client would
            return {"type": "http.disconnect"}
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: dict[str, object]) -> None:
        if message["type"] == "http.response.start":
            statuses.append(int(str(message["status"])))

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/transcribe",
        "raw_path": b"/transcribe",
        "query_string": b"",
        "headers": [(b"content-type", b"multipart/form-data; boundary=limit"), (b"content-length", b"9999")],
    }

    async def request() -> int:
        await app(scope, receive, send)
        return statuses[0]

    return asyncio.create_task(request()), is_waiting
