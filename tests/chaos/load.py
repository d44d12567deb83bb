"""Clients who upload distinct recordings, insist until they are answered, and wait for the end of their jobs."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import httpx

from chaos import content
from chaos.listeners import Heard, follow, listen

_BOUNDARY = "limit"

#: The share of clients who listen while their answer is being made, and of those who follow what happens.
_LISTENERS = 0.5

#: How often a client sends its recording once more although it has been accepted: it must get the same job.
_REPEATS = 0.1

_ENDED = ("completed", "failed", "cancelled", "lost")


@dataclass
class Call:
    """One upload and all that its client has been told."""

    number: int
    key: str = field(default_factory=lambda: uuid4().hex)
    job_ids: set[str] = field(default_factory=set)
    """As in each 202 that it got."""

    refusals: list[str] = field(default_factory=list)
    """Codes of the answers that were not 202, and `no_answer`."""

    ends: list[dict[str, Any]] = field(default_factory=list)
    """Every status with which the job had ended: they must not differ."""

    heard: list[Heard] = field(default_factory=list)
    """By whoever listened while the answer was being made."""

    told: list[tuple[str, str]] | None = None
    """Ids and names of events, where somebody followed them."""

    @property
    def job_id(self) -> str:
        return min(self.job_ids)


class Load:
    """All clients, and what they have seen."""

    def __init__(self, url: str) -> None:
        self.calls: list[Call] = []
        self.on_body_sent: Callable[[], None] = lambda: None
        """Called when a client has sent the last byte of a recording and has no answer yet."""
        self._client = httpx.AsyncClient(base_url=url, timeout=40, limits=httpx.Limits())

    async def close(self) -> None:
        await self._client.aclose()

    async def serve(self, number: int, at_s: float) -> None:
        """One client's life: upload, perhaps listen and follow, and wait for the end."""
        await asyncio.sleep(at_s)
        call = Call(number)
        self.calls.append(call)
        for _ in range(1 + (random.random() < _REPEATS)):
            await self._upload(call)
        async with asyncio.TaskGroup() as waiting:
            waiting.create_task(self.wait(call))
            if random.random() < _LISTENERS:
                waiting.create_task(self._listen(call))
            if random.random() < _LISTENERS:
                waiting.create_task(self._follow(call))

    async def _listen(self, call: Call) -> None:
        call.heard = await listen(self._client, call.job_id)

    async def _follow(self, call: Call) -> None:
        call.told = await follow(self._client, call.job_id)

    async def _upload(self, call: Call) -> None:
        while True:
            try:
                answer = await self._client.post(
                    "/transcribe",
                    content=self._body(content.recording(call.number)),
                    headers={
                        "content-type": f"multipart/form-data; boundary={_BOUNDARY}",
                        "idempotency-key": call.key,
                    },
                )
                if answer.status_code == 202:
                    call.job_ids.add(answer.json()["job_id"])
                    return
                call.refusals.append(answer.json()["code"])
            except httpx.TransportError:
                call.refusals.append("no_answer")
            await asyncio.sleep(random.uniform(0.1, 0.5))

    async def _body(self, recording: bytes) -> AsyncIterator[bytes]:
        head, tail = form(recording)
        yield head
        await asyncio.sleep(random.uniform(0, 0.02))
        yield tail
        self.on_body_sent()

    async def wait(self, call: Call) -> None:
        while True:
            status = await self.status(call.job_id, wait=20)
            if status["status"] in _ENDED:
                call.ends.append(status)
                return

    async def status(self, job_id: str, wait: float = 0) -> dict[str, Any]:
        """What the API says of the job, once it answers; the status `lost` if it knows of none."""
        while True:
            try:
                answer = await self._client.get(f"/status/{job_id}", params={"wait": wait})
                if answer.status_code == 200:
                    status: dict[str, Any] = answer.json()
                    return status
                if answer.status_code == 404:
                    return {"status": "lost"}
            except httpx.TransportError:
                pass
            await asyncio.sleep(random.uniform(0.1, 0.5))

    async def audio(self, job_id: str) -> bytes | None:
        """The answer's WAV file; None if there is none."""
        answer = await self._client.get(f"/audio/{job_id}")
        return answer.content if answer.status_code == 200 else None


def form(recording: bytes) -> tuple[bytes, bytes]:
    """A form with the recording in it, in two halves."""
    name = b'Content-Disposition: form-data; name="audio_file"; filename="recording.wav"'
    body = b"--limit\r\n" + name + b"\r\n\r\n" + recording + b"\r\n--limit--\r\n"
    half = len(body) // 2
    return body[:half], body[half:]
