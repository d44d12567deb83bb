"""GET /audio of a completed job: the whole file, ranges of it, and its errors."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx
import pytest

from shared.queue.messages import Claim
from shared.queue.queue import Queue
from shared.queue.stages import Stage
from shared.storage.local import LocalStorage
from shared.storage.storage import StoredFile

Send = Callable[..., Awaitable[httpx.Response]]


@pytest.fixture
async def job_id(upload: Send) -> str:
    return str((await upload()).json()["job_id"])


@pytest.fixture
async def audio_url(job_id: str, complete: Callable[[str], Awaitable[None]]) -> str:
    """The URL of a completed answer."""
    await complete(job_id)
    return f"/audio/{job_id}"


async def test_an_early_request_waits_for_the_answer(
    client: httpx.AsyncClient, job_id: str, complete: Callable[[str], Awaitable[None]], wav: bytes
) -> None:
    """A request for the audio stays open until the job is completed, and then gets the file."""
    request = asyncio.create_task(client.get(f"/audio/{job_id}"))
    await asyncio.sleep(0.1)
    assert not request.done()
    await complete(job_id)
    response = await request
    assert (response.status_code, response.content) == (200, wav)
    assert response.headers["content-type"] == "audio/wav"


async def test_the_whole_answer_is_sent(client: httpx.AsyncClient, audio_url: str, wav: bytes) -> None:
    """The whole file is sent as audio/wav, with its length and a file name."""
    response = await client.get(audio_url)
    assert (response.status_code, response.content) == (200, wav)
    assert response.headers["content-type"] == "audio/wav"
    assert response.headers["content-length"] == str(len(wav))
    assert response.headers["accept-ranges"] == "bytes"
    assert "_response.wav" in response.headers["content-disposition"]


async def test_a_head_request_returns_the_length(client: httpx.AsyncClient, audio_url: str, wav: bytes) -> None:
    """HEAD returns the file's length without the body, for players that ask for the size first."""
    response = await client.head(audio_url)
    assert (response.status_code, response.content) == (200, b"")
    assert response.headers["content-length"] == str(len(wav))


@pytest.mark.parametrize(
    ("byte_range", "start", "stop"), [("0-99", 0, 100), ("100-", 100, None), ("-44", -44, None), ("0-999999", 0, None)]
)
async def test_a_range_of_the_answer_is_sent(
    client: httpx.AsyncClient, audio_url: str, wav: bytes, byte_range: str, start: int, stop: int | None
) -> None:
    """A range request gets exactly the requested bytes, for players that seek."""
    response = await client.get(audio_url, headers={"Range": f"bytes={byte_range}"})
    assert (response.status_code, response.content) == (206, wav[start:stop])
    assert response.headers["content-range"].endswith(f"/{len(wav)}")


async def test_a_range_beyond_the_end_is_refused(client: httpx.AsyncClient, audio_url: str, wav: bytes) -> None:
    """A range beyond the end gets 416 with the file's length."""
    response = await client.get(audio_url, headers={"Range": f"bytes={len(wav)}-"})
    assert (response.status_code, response.json()["code"]) == (416, "no_such_range")
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["content-range"] == f"bytes */{len(wav)}"


@pytest.mark.parametrize("byte_range", ["", "bytes", "bytes=", "bytes=-", "bytes=b-a", "seconds=1-2", "bytes=5-2"])
async def test_an_invalid_range_is_ignored(
    client: httpx.AsyncClient, audio_url: str, wav: bytes, byte_range: str
) -> None:
    """An invalid Range header is ignored and the whole file is sent, as HTTP requires."""
    response = await client.get(audio_url, headers={"Range": byte_range})
    assert (response.status_code, response.content) == (200, wav)


async def test_a_failed_job_has_no_audio(
    client: httpx.AsyncClient, job_id: str, fake_queue: Queue, claim: Callable[[Stage], Awaitable[Claim]]
) -> None:
    """The audio of a failed job is 410, and the detail points to the job's status."""
    task = await claim("stt")
    await fake_queue.dead_letter("worker", task, "no_speech", "No speech was found.")
    response = await client.get(f"/audio/{job_id}")
    assert (response.status_code, response.json()["code"]) == (410, "no_audio")
    assert f"/status/{job_id}" in response.json()["detail"]


async def test_a_cancelled_job_has_no_audio(client: httpx.AsyncClient, job_id: str) -> None:
    """The audio of a cancelled job is 410."""
    await client.delete(f"/jobs/{job_id}")
    assert (await client.get(f"/audio/{job_id}")).status_code == 410


async def test_audio_that_was_removed_from_the_volume_is_gone(
    client: httpx.AsyncClient, audio_url: str, job_id: str, volume: Path
) -> None:
    """An answer whose file was removed from the volume is 410, without the file's path."""
    (volume / "output" / f"{job_id}_response.wav").unlink()
    response = await client.get(audio_url)
    assert (response.status_code, response.json()["code"]) == (410, "no_audio")
    assert str(volume) not in response.text


@pytest.mark.parametrize("headers", [{}, {"Range": "bytes=0-9"}, {"Range": "bytes=0-9,20-29"}])
async def test_audio_that_is_removed_during_the_request_is_gone(
    client: httpx.AsyncClient, audio_url: str, monkeypatch: pytest.MonkeyPatch, headers: dict[str, str]
) -> None:
    """A file that is deleted after its job was read and before it is opened is 410, for whole files and for ranges."""
    open_answer = LocalStorage.open_answer

    def delete_and_open(storage: LocalStorage, job_id: str) -> StoredFile:
        storage.erase(job_id)
        return open_answer(storage, job_id)

    monkeypatch.setattr(LocalStorage, "open_answer", delete_and_open)
    response = await client.get(audio_url, headers=headers)
    assert (response.status_code, response.json()["code"]) == (410, "no_audio")


@pytest.mark.parametrize("headers", [{}, {"Range": "bytes=0-9"}, {"Range": "bytes=0-9,20-29"}])
async def test_audio_that_is_removed_once_open_is_sent(
    client: httpx.AsyncClient,
    audio_url: str,
    monkeypatch: pytest.MonkeyPatch,
    headers: dict[str, str],
    wav: bytes,
    files: Callable[[], list[str]],
) -> None:
    """An answer that is deleted while it is being sent is sent completely, and its file is closed afterwards."""
    open_answer = LocalStorage.open_answer
    opened: list[StoredFile] = []

    def open_and_delete(storage: LocalStorage, job_id: str) -> StoredFile:
        opened.append(open_answer(storage, job_id))
        storage.erase(job_id)
        return opened[-1]

    monkeypatch.setattr(LocalStorage, "open_answer", open_and_delete)
    response = await client.get(audio_url, headers=headers)
    assert response.status_code == (206 if headers else 200)
    parts = [wav[:10], wav[20:30]] if "," in headers.get("Range", "") else [wav[: 10 if headers else None]]
    assert all(part in response.content for part in parts)
    assert not [name for name in files() if name.startswith("output/")]
    assert [file.content.closed for file in opened] == [True]
