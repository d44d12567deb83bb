"""What happens to a job, as it happens, over connections that may break."""

import asyncio
import json
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx
from httpx_sse import EventSource, SSEError, aconnect_sse

from cli.client.async_client import GATEWAY_ERRORS, LOST_FOR_S, AsyncCascadeClient
from cli.client.retry_after import asked_to_wait_s, pauses
from cli.client.sync_client import told
from cli.errors import CommandError, Unreachable
from shared.queue.events import LAST_EVENTS

#: The server says something every 15 seconds; one that is silent for longer is no longer there.
_SILENCE_S = 45.0


@dataclass(frozen=True)
class Event:
    """One thing that has happened."""

    name: str
    data: dict[str, Any]


async def follow(server: AsyncCascadeClient, job_id: str) -> AsyncGenerator[Event]:
    """Every event of the job, once, in order, to the last.

    Raises:
        CommandError: the job is not there any more, or the server.
    """
    last_id, waits, is_lost = "", pauses(LOST_FOR_S), False
    while True:
        headers = {"Last-Event-ID": last_id} if last_id else {}
        path, timeout = f"/events/{quote(job_id, safe='')}", httpx.Timeout(10, read=_SILENCE_S)
        pause_s = None
        try:
            async with aconnect_sse(server.http, "GET", path, headers=headers, timeout=timeout) as source:
                pause_s = await _asked_to_wait_s(server, source)
                async for sse in source.aiter_sse():
                    if not sse.data:  # a sign of life
                        continue
                    if is_lost:
                        server.notice("The connection is back.")
                    last_id, waits, is_lost = sse.id or last_id, pauses(LOST_FOR_S), False
                    yield Event(sse.event, _object(sse.data, server.url))
                    if sse.event in LAST_EVENTS:
                        return
        except (httpx.TransportError, SSEError):
            pass
        if not is_lost:
            server.notice("The connection broke. Connecting again …")
            is_lost = True
        shortest_s = next(waits, None)
        if shortest_s is None:
            raise Unreachable(f"The server at {server.url} has gone away.")
        await asyncio.sleep(max(min(pause_s or 0, LOST_FOR_S), shortest_s))


async def _asked_to_wait_s(server: AsyncCascadeClient, source: EventSource) -> float | None:
    """None where the events come, else how long to leave the server alone.

    Raises:
        CommandError: it is of no use to ask again.
    """
    answer = source.response
    if answer.is_success:
        return None
    await answer.aread()
    if answer.status_code == 404:
        raise CommandError("The job is gone: somebody has erased it.", "job_gone")
    wait_s = asked_to_wait_s(answer)
    if wait_s is None and answer.status_code not in GATEWAY_ERRORS:
        told(answer, server.url)
    return wait_s or 0


def _object(data: str, url: str) -> dict[str, Any]:
    try:
        content = json.loads(data)
    except ValueError:
        content = None
    if not isinstance(content, dict):
        raise Unreachable(f"What answers at {url} is no Cascade server.")
    return content
