"""Clients whose uploads must be refused, and how long that takes."""

import asyncio
import time
from dataclasses import dataclass

import httpx

from chaos import content
from chaos.load import Call, Load, form

_EVERY_S = 1.0


@dataclass(frozen=True)
class Refusal:
    """One upload that was refused."""

    at: float
    """When it was sent, in seconds since the epoch."""

    code: str
    took_s: float


class Refused:
    """Sends, one after the other, what is too large, what is no audio, and what finds the queue full."""

    def __init__(self, load: Load, url: str, narrow_url: str, first_number: int) -> None:
        self.refusals: list[Refusal] = []
        self.wrong: list[str] = []
        """Answers that no such upload should get."""
        self._load, self._number, self._stopping = load, first_number, False
        self._kinds = {
            "file_too_large": (url, content.recording(700_000)),
            "unsupported_media_type": (url, b"I am a letter, not a recording. " * 200),
            "queue_full": (narrow_url, content.recording(0)),
        }

    def stop(self) -> None:
        self._stopping = True

    async def send_until_stopped(self) -> None:
        async with httpx.AsyncClient(timeout=40) as client, asyncio.TaskGroup() as adopted:
            while not self._stopping:
                for code, (url, body) in self._kinds.items():
                    await asyncio.sleep(_EVERY_S)
                    if code == "queue_full":  # where the queue is empty it is taken, and then a job like any other
                        self._number += 1
                        body = content.recording(self._number)
                    if call := await self._send(client, url, body, code):
                        adopted.create_task(self._load.wait(call))

    async def _send(self, client: httpx.AsyncClient, url: str, body: bytes, code: str) -> Call | None:
        call = Call(self._number)
        headers = {"content-type": "multipart/form-data; boundary=limit", "idempotency-key": call.key}
        while True:
            at, started = time.time(), time.monotonic()
            try:
                answer = await client.post(f"{url}/transcribe", content=b"".join(form(body)), headers=headers)
                said = answer.json()
            except httpx.TransportError:
                said = {"code": "queue_unavailable"}
            took_s = time.monotonic() - started
            if said.get("code") == code:
                self.refusals.append(Refusal(at, code, took_s))
                return None
            if "job_id" in said and code == "queue_full":
                call.job_ids.add(said["job_id"])
                self._load.calls.append(call)
                return call
            # It may have been accepted before Redis or the API went away: only a clear answer will do.
            if said.get("code") not in ("queue_unavailable", "queue_memory_full", "storage_full"):
                self.wrong.append(f"{code}: got {said}")
                return None
            await asyncio.sleep(0.3)
