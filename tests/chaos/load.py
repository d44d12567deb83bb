"""Clients that upload distinct recordings, repeat refused uploads, and wait for the end of their jobs."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import httpx

from chaos import content
from chaos.streams import AudioResponse, receive_audio, receive_events
from shared.queue.stages import ENDED

_BOUNDARY = "limit"

#: The share of clients that play their answer while it is made, and of those that follow their job's events.
_STREAMING_SHARE = 0.5

#: The share of clients that repeat an accepted upload; they must get the same job.
_REPEATED_SHARE = 0.1


@dataclass
class Upload:
    """One recording, and all that its client has received."""

    number: int
    key: str = field(default_factory=lambda: uuid4().hex)
    job_ids: set[str] = field(default_factory=set)
    """The job's id in each 202 response; one id unless a guarantee was violated."""

    refusals: list[str] = field(default_factory=list)
    """Codes of the responses that were not 202, and `no_response`."""

    final_statuses: list[dict[str, Any]] = field(default_factory=list)
    """Each status with which the job had ended: they must not differ."""

    audio_responses: list[AudioResponse] = field(default_factory=list)
    """The audio that the client received while the answer was made, if it did."""

    received_events: list[tuple[str, str]] | None = None
    """Ids and names of the events, if the client followed them."""

    @property
    def job_id(self) -> str:
        return min(self.job_ids)


class LoadGenerator:
    """All clients, and their uploads."""

    def __init__(self, url: str) -> None:
        self.uploads: list[Upload] = []
        self.on_body_sent: Callable[[], None] = lambda: None
        """Called when a client has sent the last byte of a recording and has no response yet."""
        self._client = httpx.AsyncClient(base_url=url, timeout=40, limits=httpx.Limits())

    async def close(self) -> None:
        await self._client.aclose()

    async def run_client(self, number: int, start_s: float) -> None:
        """Upload after `start_s`, receive audio and events with some probability, and wait for the end of the job."""
        await asyncio.sleep(start_s)
        upload = Upload(number)
        self.uploads.append(upload)
        for _ in range(1 + (random.random() < _REPEATED_SHARE)):
            await self._send(upload)
        async with asyncio.TaskGroup() as requests:
            requests.create_task(self.wait_until_ended(upload))
            if random.random() < _STREAMING_SHARE:
                requests.create_task(self._receive_audio(upload))
            if random.random() < _STREAMING_SHARE:
                requests.create_task(self._receive_events(upload))

    async def _receive_audio(self, upload: Upload) -> None:
        upload.audio_responses = await receive_audio(self._client, upload.job_id)

    async def _receive_events(self, upload: Upload) -> None:
        upload.received_events = await receive_events(self._client, upload.job_id)

    async def _send(self, upload: Upload) -> None:
        while True:
            try:
                response = await self._client.post(
                    "/transcribe",
                    content=self._body(content.recording(upload.number)),
                    headers={
                        "content-type": f"multipart/form-data; boundary={_BOUNDARY}",
                        "idempotency-key": upload.key,
                    },
                )
                if response.status_code == 202:
                    upload.job_ids.add(response.json()["job_id"])
                    return
                upload.refusals.append(response.json()["code"])
            except httpx.TransportError:
                upload.refusals.append("no_response")
            await asyncio.sleep(random.uniform(0.1, 0.5))

    async def _body(self, recording: bytes) -> AsyncIterator[bytes]:
        head, tail = form_halves(recording)
        yield head
        await asyncio.sleep(random.uniform(0, 0.02))
        yield tail
        self.on_body_sent()

    async def wait_until_ended(self, upload: Upload) -> None:
        """Wait until the upload's job has ended or is unknown, and store that status."""
        while True:
            status = await self.status(upload.job_id, wait=20)
            if status["status"] in (*ENDED, "lost"):
                upload.final_statuses.append(status)
                return

    async def status(self, job_id: str, wait: float = 0) -> dict[str, Any]:
        """Return the job's status as soon as the API responds; a status of `lost` if the job is unknown."""
        while True:
            try:
                response = await self._client.get(f"/status/{job_id}", params={"wait": wait})
                if response.status_code == 200:
                    status: dict[str, Any] = response.json()
                    return status
                if response.status_code == 404:
                    return {"status": "lost"}
            except httpx.TransportError:
                pass
            await asyncio.sleep(random.uniform(0.1, 0.5))

    async def audio(self, job_id: str) -> bytes | None:
        """Return the answer's WAV file; None if there is none."""
        response = await self._client.get(f"/audio/{job_id}")
        return response.content if response.status_code == 200 else None


def form_halves(recording: bytes) -> tuple[bytes, bytes]:
    """Return a multipart form with the recording, in two halves."""
    name = b'Content-Disposition: form-data; name="audio_file"; filename="recording.wav"'
    body = b"--limit\r\n" + name + b"\r\n\r\n" + recording + b"\r\n--limit--\r\n"
    half = len(body) // 2
    return body[:half], body[half:]
