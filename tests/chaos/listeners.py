"""Clients who listen to an answer while it is being made, and who follow what happens to their job."""

import asyncio
import random
from dataclasses import dataclass

import httpx

_ENDS = ("completed", "failed", "cancelled")


@dataclass
class Heard:
    """What one request for an answer's audio has brought."""

    offset: int
    """The first byte that was asked for."""

    audio: bytes = b""
    is_whole: bool = False
    """Whether it ended as the server meant it to; else the listener was cut off."""


async def listen(client: httpx.AsyncClient, job_id: str) -> list[Heard]:
    """Hear the answer to its end. Whoever is cut off goes on where it was, or begins anew."""
    heard: list[Heard] = []
    while True:
        goes_on = heard and random.random() < 0.5
        latest = Heard(heard[-1].offset + len(heard[-1].audio) if goes_on else 0)
        try:
            async with client.stream("GET", f"/audio/{job_id}", params={"offset": latest.offset}) as answer:
                if answer.status_code in (404, 410):
                    return heard
                if answer.status_code == 200:
                    heard.append(latest)
                    async for piece in answer.aiter_raw():
                        latest.audio += piece
                    latest.is_whole = True
                    return heard
        except httpx.TransportError:
            pass
        await asyncio.sleep(random.uniform(0.1, 0.5))


async def follow(client: httpx.AsyncClient, job_id: str) -> list[tuple[str, str]]:
    """The ids and names of all events, to the last one. Whoever is cut off asks for what came later."""
    told: list[tuple[str, str]] = []
    while not told or told[-1][1] not in _ENDS:
        since = {"last-event-id": told[-1][0]} if told else {}
        try:
            async with client.stream("GET", f"/events/{job_id}", headers=since) as answer:
                if answer.status_code == 404:
                    return told
                fields: dict[str, str] = {}
                async for line in answer.aiter_lines():
                    name, _, value = line.partition(": ")
                    fields[name] = value
                    if not line:
                        if fields.get("event", "position") != "position":  # which is no event of the job's own
                            told.append((fields["id"], fields["event"]))
                        fields = {}
        except httpx.TransportError:
            pass
        await asyncio.sleep(random.uniform(0.1, 0.5))
    return told
