"""Clients that play an answer while it is made, and clients that follow a job's events."""

import asyncio
import random
from dataclasses import dataclass

import httpx

from shared.queue.events import LAST_EVENTS


@dataclass
class AudioResponse:
    """The response to one request for an answer's audio."""

    offset: int
    """The first byte that was requested."""

    body: bytes = b""
    is_complete: bool = False
    """The server ended the response; else it was cut off."""


async def receive_audio(client: httpx.AsyncClient, job_id: str) -> list[AudioResponse]:
    """Receive the answer to its end. A listener that is cut off continues there, or starts from the beginning."""
    responses: list[AudioResponse] = []
    while True:
        is_continued = responses and random.random() < 0.5
        latest = AudioResponse(responses[-1].offset + len(responses[-1].body) if is_continued else 0)
        try:
            async with client.stream("GET", f"/audio/{job_id}", params={"offset": latest.offset}) as response:
                if response.status_code in (404, 410):
                    return responses
                if response.status_code == 200:
                    responses.append(latest)
                    async for chunk in response.aiter_raw():
                        latest.body += chunk
                    latest.is_complete = True
                    return responses
        except httpx.TransportError:
            pass
        await asyncio.sleep(random.uniform(0.1, 0.5))


async def receive_events(client: httpx.AsyncClient, job_id: str) -> list[tuple[str, str]]:
    """Receive the ids and names of all events to the last one. A subscriber that is cut off asks for those after it."""
    events: list[tuple[str, str]] = []
    while not events or events[-1][1] not in LAST_EVENTS:
        headers = {"last-event-id": events[-1][0]} if events else {}
        try:
            async with client.stream("GET", f"/events/{job_id}", headers=headers) as response:
                if response.status_code == 404:
                    return events
                fields: dict[str, str] = {}
                async for line in response.aiter_lines():
                    name, _, value = line.partition(": ")
                    fields[name] = value
                    if not line:
                        if fields.get("event", "position") != "position":  # the API sends positions, which have no id
                            events.append((fields["id"], fields["event"]))
                        fields = {}
        except httpx.TransportError:
            pass
        await asyncio.sleep(random.uniform(0.1, 0.5))
    return events
