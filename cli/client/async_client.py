"""An asynchronous client of one server, for commands that follow jobs: requests that are safe to repeat are retried."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, Self
from urllib.parse import quote
from uuid import uuid4

import httpx

from cli.client.atomic_write import atomic_write
from cli.client.retry_after import backoff_delays, requested_delay_s
from cli.client.sync_client import (
    make_http_client,
    not_cascade_error,
    parse_response,
    resolve_url,
    unreachable_error,
)
from cli.errors import RequestRefused, ServerUnreachable

Notify = Callable[[str], None]

#: How long requests are retried while a server that has responded before cannot be reached.
RECONNECT_TIMEOUT_S = 60.0

#: How long in all a request waits for a server that is busy and says when to come back.
BUSY_TIMEOUT_S = 600.0

#: For a cancellation: the user who has pressed Ctrl-C waits for it.
_CANCEL_TIMEOUT_S = 5.0

#: The responses of a proxy while the server behind it restarts.
GATEWAY_ERRORS = (502, 503, 504)


class AsyncCascadeClient:
    """Use as a context manager. `notify` receives messages for the user, such as that the server is busy."""

    def __init__(self, url: str | None, key: str | None, notify: Notify) -> None:
        self.url = resolve_url(url)
        self.http = make_http_client(httpx.AsyncClient, self.url, key)
        self.notify = notify
        self._has_responded = False
        self._busy_until = 0.0
        """By the loop's clock. It holds for all requests: each would otherwise be refused in turn."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.http.aclose()

    async def submit(self, path: str, **content: Any) -> str:
        """Create a job from the content and return its id. A broken connection creates no second job: the server
        recognizes the repeated request by its idempotency key.

        Raises:
            CommandError: the server cannot be reached, or refuses.
        """
        headers = {"Idempotency-Key": uuid4().hex}
        accepted = await self._request("POST", path, headers=headers, **content)
        return str(accepted["job_id"])

    async def status(self, job_id: str) -> dict[str, Any]:
        """Return a job's status.

        Raises:
            CommandError: the server cannot be reached, or refuses.
        """
        status = await self._request("GET", f"/status/{quote(job_id, safe='')}")
        return dict(status)

    async def check(self) -> None:
        """Check that the server responds and accepts the key.

        Raises:
            CommandError: it does not.
        """
        await self._request("GET", "/queues")

    async def cancel(self, job_id: str) -> None:
        """Cancel a job. Tried once.

        Raises:
            CommandError: the server cannot be reached, or refuses.
        """
        try:
            response = await self.http.delete(f"/jobs/{quote(job_id, safe='')}", timeout=_CANCEL_TIMEOUT_S)
        except httpx.TransportError as error:
            raise unreachable_error(self.url, error) from None
        if response.status_code != 204:
            parse_response(response, self.url)

    async def segment(self, job_id: str, index: int) -> bytes:
        """Return one audio segment of an answer, as WAV.

        Raises:
            CommandError: the server cannot be reached, or does not have it.
        """
        for delay_s in backoff_delays(RECONNECT_TIMEOUT_S):
            with suppress(httpx.TransportError):
                response = await self.http.get(f"/audio/{quote(job_id, safe='')}/segments/{index}")
                if response.is_success:
                    return response.content
                self._raise_unless_temporary(response)
            await asyncio.sleep(delay_s)
        raise self.connection_lost_error()

    async def save(self, job_id: str, path: Path) -> None:
        """Write the whole spoken answer to a file, atomically.

        Raises:
            CommandError: the server cannot be reached, or does not have it.
            OSError: the file cannot be written.
        """
        with atomic_write(path) as file:
            await self._download(f"/audio/{quote(job_id, safe='')}", file)

    def connection_lost_error(self) -> ServerUnreachable:
        """The error for a server that did not come back within RECONNECT_TIMEOUT_S."""
        return ServerUnreachable(f"The connection to {self.url} was lost.")

    async def _download(self, path: str, file: BinaryIO) -> None:
        """Write the content at `path` to a file. After a broken connection the download continues where it stopped."""
        written = 0
        for delay_s in backoff_delays(RECONNECT_TIMEOUT_S):
            with suppress(httpx.TransportError):
                headers = {"Range": f"bytes={written}-"} if written else {}
                async with self.http.stream("GET", path, headers=headers) as response:
                    if not response.is_success:
                        await response.aread()
                        self._raise_unless_temporary(response)
                    elif written and response.status_code != 206:  # a proxy has dropped the Range header
                        written = file.seek(0)
                        file.truncate()
                    if response.is_success:
                        async for block in response.aiter_bytes():
                            written += file.write(block)
                        return
            await asyncio.sleep(delay_s)
        raise self.connection_lost_error()

    def _raise_unless_temporary(self, response: httpx.Response) -> None:
        if requested_delay_s(response) is None and response.status_code not in GATEWAY_ERRORS:
            parse_response(response, self.url)
            raise not_cascade_error(self.url)

    async def _request(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        loop = asyncio.get_running_loop()
        give_up_at = loop.time() + BUSY_TIMEOUT_S
        reconnect_delays = backoff_delays(RECONNECT_TIMEOUT_S)
        while True:
            await asyncio.sleep(self._busy_until - loop.time())
            try:
                response = await self.http.request(method, path, **options)
            except (httpx.TransportError, httpx.UnsupportedProtocol) as error:
                is_retried = self._has_responded or not _is_absent(error)
                delay_s = next(reconnect_delays, None) if is_retried else None
                if delay_s is None:
                    raise unreachable_error(self.url, error) from None
                await asyncio.sleep(delay_s)
                continue
            self._has_responded = True
            busy_s = requested_delay_s(response)
            if busy_s is None:
                content = parse_response(response, self.url)
                if not isinstance(content, dict):
                    raise not_cascade_error(self.url)
                return content
            busy_until = loop.time() + busy_s
            if busy_until > give_up_at:
                parse_response(response, self.url)
            self._wait_while_busy(busy_until, response)

    def _wait_while_busy(self, until: float, response: httpx.Response) -> None:
        if until <= self._busy_until:
            return
        self._busy_until = until
        try:
            parse_response(response, self.url)
        except (RequestRefused, ServerUnreachable) as reason:
            self.notify(f"{reason} Waiting {until - asyncio.get_running_loop().time():.0f} s.")


def _is_absent(error: Exception) -> bool:
    """True if no server listens at the address. Not retried: the address is probably wrong."""
    return isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.UnsupportedProtocol)
