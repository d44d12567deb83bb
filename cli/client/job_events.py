"""A job's events as they happen, over connections that may break."""

import asyncio
import json
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx
from httpx_sse import EventSource, SSEError, aconnect_sse

from cli.client.async_client import GATEWAY_ERRORS, RECONNECT_TIMEOUT_S, AsyncCascadeClient
from cli.client.retry_after import backoff_delays, requested_delay_s
from cli.client.sync_client import not_cascade_error, parse_response
from cli.errors import CommandError
from shared.queue.events import LAST_EVENTS

#: The server sends a ping every 15 seconds; a connection that is silent for longer than this is broken.
_SILENCE_TIMEOUT_S = 45.0

_CONNECT_TIMEOUT_S = 10.0


@dataclass(frozen=True)
class JobEvent:
    """One event of a job, as the server sends it."""

    name: str
    data: dict[str, Any]


async def follow_events(server: AsyncCascadeClient, job_id: str) -> AsyncGenerator[JobEvent]:
    """Yield every event of the job once, in order, up to the last one.

    Raises:
        CommandError: the job was erased, or the server cannot be reached.
    """
    path = f"/events/{quote(job_id, safe='')}"
    timeout = httpx.Timeout(_CONNECT_TIMEOUT_S, read=_SILENCE_TIMEOUT_S)
    last_id = ""
    delays = backoff_delays(RECONNECT_TIMEOUT_S)
    is_connected = True
    while True:
        headers = {"Last-Event-ID": last_id} if last_id else {}
        requested_s = None
        try:
            async with aconnect_sse(server.http, "GET", path, headers=headers, timeout=timeout) as source:
                requested_s = await _check_response(server, source)
                async for sse in source.aiter_sse():
                    if not sse.data:  # a ping
                        continue
                    if not is_connected:
                        server.notify("Reconnected.")
                    last_id = sse.id or last_id
                    delays = backoff_delays(RECONNECT_TIMEOUT_S)
                    is_connected = True
                    yield JobEvent(sse.event, _parse_object(sse.data, server.url))
                    if sse.event in LAST_EVENTS:
                        return
        except (httpx.TransportError, SSEError):
            pass
        if is_connected:
            server.notify("The connection was lost. Reconnecting …")
            is_connected = False
        delay_s = next(delays, None)
        if delay_s is None:
            raise server.connection_lost_error()
        await asyncio.sleep(max(min(requested_s or 0, RECONNECT_TIMEOUT_S), delay_s))


async def _check_response(server: AsyncCascadeClient, source: EventSource) -> float | None:
    """Return None if the response is a stream of events, else the delay in seconds before the next attempt.

    Raises:
        CommandError: another attempt cannot succeed.
    """
    response = source.response
    if response.is_success:
        return None
    await response.aread()
    if response.status_code == 404:
        raise CommandError("The job was erased.", "job_gone")
    delay_s = requested_delay_s(response)
    if delay_s is None and response.status_code not in GATEWAY_ERRORS:
        parse_response(response, server.url)
    return delay_s or 0


def _parse_object(data: str, url: str) -> dict[str, Any]:
    try:
        content = json.loads(data)
    except ValueError:
        content = None
    if not isinstance(content, dict):
        raise not_cascade_error(url)
    return content
