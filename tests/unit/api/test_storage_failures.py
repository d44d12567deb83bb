"""What happens to an upload when the service itself is in trouble."""

import asyncio
import errno
import os
from collections.abc import Awaitable, Callable

import httpx
import pytest
from fakeredis import FakeServer
from fastapi import FastAPI

from api.intake import upload_slots as intake
from api.settings import ApiSettings
from shared.errors import QueueUnavailable
from shared.queue.queue import Queue
from shared.storage.local import LocalStorage

Send = Callable[..., Awaitable[httpx.Response]]
Files = Callable[[], list[str]]


class TestFullQueue:
    """With room for one job."""

    @pytest.fixture
    def settings(self, settings: ApiSettings) -> ApiSettings:
        return settings.model_copy(update={"max_live_jobs": 1})

    async def test_one_job_too_many_is_refused(self, upload: Send, files: Files) -> None:
        """The caller hears when to try again, and the refused recording is removed."""
        job_id = (await upload()).json()["job_id"]
        answer = await upload()
        assert (answer.status_code, answer.json()["code"]) == (503, "queue_full")
        assert int(answer.headers["retry-after"]) > 0
        assert files() == [f"input/{job_id}"]

    async def test_there_is_room_again_once_a_job_has_ended(
        self, upload: Send, complete: Callable[[str], Awaitable[None]]
    ) -> None:
        """Jobs that have ended do not count."""
        await complete((await upload()).json()["job_id"])
        assert (await upload()).status_code == 202

    async def test_a_repeated_upload_is_not_one_too_many(self, upload: Send) -> None:
        """A caller whose job has been accepted hears so, however full the queue is."""
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
async def test_without_redis_callers_are_asked_to_wait(
    method: str, path: str, client: httpx.AsyncClient, fake_redis: FakeServer, wav: bytes, files: Files
) -> None:
    """While Redis is away every call is 503 with Retry-After, and no upload is stored."""
    fake_redis.connected = False
    answer = await client.request(method, path, files={"audio_file": ("a", wav)} if method == "POST" else None)
    assert (answer.status_code, answer.json()["code"]) == (503, "queue_unavailable")
    assert int(answer.headers["retry-after"]) > 0
    assert files() == []


async def test_uploads_are_served_once_redis_is_back(upload: Send, fake_redis: FakeServer) -> None:
    """An outage leaves nothing behind that would have to be restarted."""
    fake_redis.connected = False
    assert (await upload()).status_code == 503
    fake_redis.connected = True
    assert (await upload()).status_code == 202


async def test_a_recording_whose_job_is_in_doubt_stays(
    upload: Send, fake_queue: Queue, monkeypatch: pytest.MonkeyPatch, files: Files
) -> None:
    """If Redis is lost in the very step that accepts the job, it may have been accepted: its recording is kept."""

    async def lost(*_args: object, **_options: object) -> str:
        raise QueueUnavailable

    monkeypatch.setattr(fake_queue, "submit", lost)
    assert (await upload()).json()["code"] == "queue_unavailable"
    assert len(files()) == 1


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
@pytest.mark.parametrize("size", [100, 5_000_000])
async def test_a_full_disk_is_told(
    number: int, size: int, upload: Send, files: Files, monkeypatch: pytest.MonkeyPatch, wav: bytes
) -> None:
    """No room for the file is 507; nothing half-written stays, and there is service once there is room."""

    def full(_handle: int) -> None:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        answer = await upload(wav + bytes(size))
    assert (answer.status_code, answer.json()["code"]) == (507, "storage_full")
    assert files() == []
    assert (await upload()).status_code == 202


async def test_an_unexpected_error_tells_nothing(
    upload: Send, files: Files, monkeypatch: pytest.MonkeyPatch, volume: object
) -> None:
    """What nobody thought of is 500 as a problem, without the error's text, and leaves no file."""

    def broken(*_args: object) -> None:
        raise RuntimeError(f"a secret in {volume}")

    monkeypatch.setattr(LocalStorage, "upload_writer", broken)
    answer = await upload()
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "internal_error"
    assert "secret" not in answer.text
    assert str(volume) not in answer.text
    assert files() == []


async def test_a_caller_who_stalls_is_sent_away(
    app: FastAPI, form: Callable[..., bytes], wav: bytes, files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever stops sending in the middle does not hold a connection and half a file for ever."""
    monkeypatch.setattr(intake, "_IDLE_S", 0.05)
    answer, _ = await half_an_upload(app, form(('name="audio_file"', wav))[:200])
    assert await asyncio.wait_for(answer, 5) == 408
    assert files() == []


async def test_an_upload_that_is_cancelled_leaves_nothing(
    app: FastAPI, form: Callable[..., bytes], wav: bytes, files: Files
) -> None:
    """A server that is told to stop in the middle of an upload removes what it has of it."""
    answer, started = await half_an_upload(app, form(('name="audio_file"', wav))[:200])
    await started.wait()
    assert len(files()) == 1
    answer.cancel()
    await asyncio.gather(answer, return_exceptions=True)
    assert files() == []


async def half_an_upload(app: FastAPI, half: bytes) -> tuple["asyncio.Task[int]", asyncio.Event]:
    """Sends half of a form and then nothing; the status that it gets, and whether more has been waited for."""
    waiting = asyncio.Event()
    parts = [{"type": "http.request", "body": half, "more_body": True}]
    statuses: list[int] = []

    async def receive() -> dict[str, object]:
        if parts:
            return parts.pop()
        waiting.set()
        if statuses:  # answered: as a real client would, hang up
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

    return asyncio.create_task(request()), waiting
