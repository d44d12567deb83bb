"""The spoken answer: when there is one, whole or in part."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx
import pytest

from shared.queue.messages import Claim
from shared.queue.queue import Queue
from shared.queue.stages import Stage

Send = Callable[..., Awaitable[httpx.Response]]


@pytest.fixture
async def job_id(upload: Send) -> str:
    return str((await upload()).json()["job_id"])


@pytest.fixture
async def answered(job_id: str, complete: Callable[[str], Awaitable[None]]) -> str:
    """The address of an answer that is there."""
    await complete(job_id)
    return f"/audio/{job_id}"


async def test_who_asks_before_its_time_gets_the_answer_when_it_is_there(
    client: httpx.AsyncClient, job_id: str, complete: Callable[[str], Awaitable[None]], wav: bytes
) -> None:
    """The call stays open until there is something to hear."""
    asking = asyncio.create_task(client.get(f"/audio/{job_id}"))
    await asyncio.sleep(0.1)
    assert not asking.done()
    await complete(job_id)
    answer = await asking
    assert (answer.status_code, answer.content) == (200, wav)
    assert answer.headers["content-type"] == "audio/wav"


async def test_the_whole_answer_is_sent(client: httpx.AsyncClient, answered: str, wav: bytes) -> None:
    """As audio, with its length, and a name to save it under."""
    answer = await client.get(answered)
    assert (answer.status_code, answer.content) == (200, wav)
    assert answer.headers["content-type"] == "audio/wav"
    assert answer.headers["content-length"] == str(len(wav))
    assert answer.headers["accept-ranges"] == "bytes"
    assert "_response.wav" in answer.headers["content-disposition"]


async def test_a_head_request_tells_the_length(client: httpx.AsyncClient, answered: str, wav: bytes) -> None:
    """Players ask for the size first, without the sound."""
    answer = await client.head(answered)
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-length"] == str(len(wav))


@pytest.mark.parametrize(
    ("wanted", "start", "stop"), [("0-99", 0, 100), ("100-", 100, None), ("-44", -44, None), ("0-999999", 0, None)]
)
async def test_a_part_of_the_answer_is_sent(
    client: httpx.AsyncClient, answered: str, wav: bytes, wanted: str, start: int, stop: int | None
) -> None:
    """A player that seeks gets just the bytes that it asks for."""
    answer = await client.get(answered, headers={"Range": f"bytes={wanted}"})
    assert (answer.status_code, answer.content) == (206, wav[start:stop])
    assert answer.headers["content-range"].endswith(f"/{len(wav)}")


async def test_a_part_beyond_the_end_is_refused(client: httpx.AsyncClient, answered: str, wav: bytes) -> None:
    """416 tells how long the file is."""
    answer = await client.get(answered, headers={"Range": f"bytes={len(wav)}-"})
    assert (answer.status_code, answer.json()["code"]) == (416, "no_such_range")
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["content-range"] == f"bytes */{len(wav)}"


@pytest.mark.parametrize("wanted", ["", "bytes", "bytes=", "bytes=-", "bytes=b-a", "seconds=1-2", "bytes=5-2"])
async def test_a_range_that_makes_no_sense_is_ignored(
    client: httpx.AsyncClient, answered: str, wav: bytes, wanted: str
) -> None:
    """The whole answer is sent, as HTTP wants it."""
    answer = await client.get(answered, headers={"Range": wanted})
    assert (answer.status_code, answer.content) == (200, wav)


async def test_a_job_that_failed_has_no_audio(
    client: httpx.AsyncClient, job_id: str, fake_queue: Queue, claim: Callable[[Stage], Awaitable[Claim]]
) -> None:
    """410: there is nothing to wait for, and the status says why."""
    claimed = await claim("stt")
    await fake_queue.dead_letter("worker", claimed, "no_speech", "No speech was found.")
    answer = await client.get(f"/audio/{job_id}")
    assert (answer.status_code, answer.json()["code"]) == (410, "no_audio")
    assert f"/status/{job_id}" in answer.json()["detail"]


async def test_a_cancelled_job_has_no_audio(client: httpx.AsyncClient, job_id: str) -> None:
    """What was cancelled is never spoken."""
    await client.delete(f"/jobs/{job_id}")
    assert (await client.get(f"/audio/{job_id}")).status_code == 410


async def test_audio_that_was_removed_from_the_volume_is_gone(
    client: httpx.AsyncClient, answered: str, job_id: str, volume: Path
) -> None:
    """A file that somebody has removed by hand is 410, without its path."""
    (volume / "output" / f"{job_id}_response.wav").unlink()
    answer = await client.get(answered)
    assert (answer.status_code, answer.json()["code"]) == (410, "no_audio")
    assert str(volume) not in answer.text


@pytest.mark.parametrize("headers", [{}, {"Range": "bytes=0-9"}, {"Range": "bytes=0-9,20-29"}])
async def test_audio_that_is_removed_while_it_is_asked_for_is_gone(
    client: httpx.AsyncClient, answered: str, monkeypatch: pytest.MonkeyPatch, headers: dict[str, str]
) -> None:
    """Who asks in the moment in which somebody else deletes is told so as well, however it asks."""
    stat = Path.stat

    def stat_and_lose(path: Path, **options: bool) -> os.stat_result:
        found = stat(path, **options)
        if path.name.endswith("_response.wav"):
            path.unlink()
        return found

    monkeypatch.setattr(Path, "stat", stat_and_lose)
    answer = await client.get(answered, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (410, "no_audio")
