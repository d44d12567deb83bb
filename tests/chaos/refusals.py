"""Uploads that must be refused, and the time that each refusal takes."""

import asyncio
import time
from dataclasses import dataclass

import httpx

from chaos import content
from chaos.load import LoadGenerator, Upload, form_halves

_INTERVAL_S = 1.0

#: Codes with which any upload may be refused while Redis, the API or the disk is down.
_OUTAGE_CODES = ("queue_unavailable", "queue_memory_full", "storage_full")


@dataclass(frozen=True)
class Refusal:
    """One upload that was refused."""

    sent_at: float
    """Seconds since the epoch."""

    code: str
    took_s: float


class RefusalProbe:
    """Uploads in turn a file that is too large, one that is no audio, and one that finds the queue full."""

    def __init__(self, load: LoadGenerator, url: str, full_queue_url: str, first_number: int) -> None:
        self.refusals: list[Refusal] = []
        self.wrong: list[str] = []
        """Responses that no such upload should get."""
        self._load = load
        self._number = first_number
        self._is_stopping = False
        self._cases = {
            "file_too_large": (url, content.recording(700_000)),
            "unsupported_media_type": (url, b"I am a letter, not a recording. " * 200),
            "queue_full": (full_queue_url, content.recording(0)),
        }

    def stop(self) -> None:
        self._is_stopping = True

    async def run(self) -> None:
        """Send uploads until `stop` is called, and wait for the end of those that were accepted."""
        async with httpx.AsyncClient(timeout=40) as client, asyncio.TaskGroup() as accepted:
            while not self._is_stopping:
                for code, (url, body) in self._cases.items():
                    await asyncio.sleep(_INTERVAL_S)
                    if code == "queue_full":  # while the queue is empty the upload is accepted, as an ordinary job
                        self._number += 1
                        body = content.recording(self._number)
                    if upload := await self._send(client, url, body, code):
                        accepted.create_task(self._load.wait_until_ended(upload))

    async def _send(self, client: httpx.AsyncClient, url: str, body: bytes, code: str) -> Upload | None:
        upload = Upload(self._number)
        headers = {"content-type": "multipart/form-data; boundary=limit", "idempotency-key": upload.key}
        while True:
            sent_at = time.time()
            started_at = time.monotonic()
            try:
                response = await client.post(f"{url}/transcribe", content=b"".join(form_halves(body)), headers=headers)
                document = response.json()
            except httpx.TransportError:
                document = {"code": "queue_unavailable"}
            took_s = time.monotonic() - started_at
            if document.get("code") == code:
                self.refusals.append(Refusal(sent_at, code, took_s))
                return None
            if "job_id" in document and code == "queue_full":
                upload.job_ids.add(document["job_id"])
                self._load.uploads.append(upload)
                return upload
            # It may have been accepted before Redis or the API went down: repeat it until the response is conclusive.
            if document.get("code") not in _OUTAGE_CODES:
                self.wrong.append(f"{code}: got {document}")
                return None
            await asyncio.sleep(0.3)
