"""One server, for commands that follow jobs: whatever is safe to repeat is repeated until it is certain."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, Self
from urllib.parse import quote
from uuid import uuid4

import httpx

from cli.client.retry_after import asked_to_wait_s, pauses
from cli.client.sync_client import opened, server_url, told, unreachable
from cli.commands.output_files import written_whole
from cli.errors import Refused, Unreachable

Notice = Callable[[str], None]

#: For how long a server that was there and is away is asked again, and one that says when to come back is believed.
LOST_FOR_S, FULL_FOR_S = 60.0, 600.0

#: What a proxy says while the server behind it is being started again.
GATEWAY_ERRORS = (502, 503, 504)


class AsyncCascadeClient:
    """Use as a context manager. What the user should know meanwhile goes to `notice`."""

    def __init__(self, url: str | None, key: str | None, notice: Notice) -> None:
        self.url = server_url(url)
        self.http = opened(httpx.AsyncClient, self.url, key)
        self.notice = notice
        self._was_there = False
        self._full_until = 0.0
        """By the loop's clock; what one job is told counts for all, or they would all be refused in turn."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.http.aclose()

    async def submit(self, path: str, **content: Any) -> str:
        """The id of the job that is made of the content. A connection that breaks makes no second one: the server
        knows the repeated request by its key.

        Raises:
            CommandError: the server cannot be reached, or refuses.
        """
        headers = {"Idempotency-Key": uuid4().hex}
        answer = await self._request("POST", path, headers=headers, **content)
        return str(answer["job_id"])

    async def status(self, job_id: str) -> dict[str, Any]:
        """All that is known of a job.

        Raises:
            CommandError: the server cannot be reached, or refuses.
        """
        status = await self._request("GET", f"/status/{quote(job_id, safe='')}")
        return dict(status)

    async def check(self) -> None:
        """Find out whether the server is there and lets us in.

        Raises:
            CommandError: it is not, or does not.
        """
        await self._request("GET", "/queues")

    async def cancel(self, job_id: str) -> None:
        """End a job, once; nobody waits for long here.

        Raises:
            CommandError: the server cannot be reached, or refuses.
        """
        try:
            answer = await self.http.delete(f"/jobs/{quote(job_id, safe='')}", timeout=5)
        except httpx.TransportError as error:
            raise unreachable(self.url, error) from None
        if answer.status_code != 204:
            told(answer, self.url)

    async def segment(self, job_id: str, index: int) -> bytes:
        """One spoken piece of an answer.

        Raises:
            CommandError: the server cannot be reached, or does not have it.
        """
        for pause_s in pauses(LOST_FOR_S):
            with suppress(httpx.TransportError):
                answer = await self.http.get(f"/audio/{quote(job_id, safe='')}/segments/{index}")
                if answer.is_success:
                    return answer.content
                self._raise_unless_full(answer)
            await asyncio.sleep(pause_s)
        raise Unreachable(f"The server at {self.url} has gone away.")

    async def save(self, job_id: str, path: Path) -> None:
        """Write the whole spoken answer: nobody sees half of it under its name.

        Raises:
            CommandError: the server cannot be reached, or does not have it.
            OSError: it cannot be written.
        """
        with written_whole(path) as file:
            await self._fetch(f"/audio/{quote(job_id, safe='')}", file)

    async def _fetch(self, path: str, file: BinaryIO) -> None:
        """Write what lies at `path`; where the connection breaks, from there on over another."""
        written = 0
        for pause_s in pauses(LOST_FOR_S):
            with suppress(httpx.TransportError):
                headers = {"Range": f"bytes={written}-"} if written else {}
                async with self.http.stream("GET", path, headers=headers) as answer:
                    if not answer.is_success:
                        await answer.aread()
                        self._raise_unless_full(answer)
                    elif written and answer.status_code != 206:  # something on the way has dropped the header
                        written = file.seek(0)
                        file.truncate()
                    if answer.is_success:
                        async for block in answer.aiter_bytes():
                            written += file.write(block)
                        return
            await asyncio.sleep(pause_s)
        raise Unreachable(f"The server at {self.url} has gone away.")

    def _raise_unless_full(self, answer: httpx.Response) -> None:
        if asked_to_wait_s(answer) is None and answer.status_code not in GATEWAY_ERRORS:
            told(answer, self.url)
            raise Unreachable(f"What answers at {self.url} is no Cascade server.")

    async def _request(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        loop = asyncio.get_running_loop()
        patient_until = loop.time() + FULL_FOR_S
        lost = pauses(LOST_FOR_S)
        while True:
            await asyncio.sleep(self._full_until - loop.time())
            try:
                answer = await self.http.request(method, path, **options)
            except (httpx.TransportError, httpx.UnsupportedProtocol) as error:
                pause_s = next(lost, None) if self._was_there or not _is_absent(error) else None
                if pause_s is None:
                    raise unreachable(self.url, error) from None
                await asyncio.sleep(pause_s)
                continue
            self._was_there = True
            wait_s = asked_to_wait_s(answer)
            if wait_s is None:
                content = told(answer, self.url)
                if not isinstance(content, dict):
                    raise Unreachable(f"What answers at {self.url} is no Cascade server.")
                return content
            until = loop.time() + wait_s
            if until > patient_until:
                told(answer, self.url)
            self._wait(until, answer)

    def _wait(self, until: float, answer: httpx.Response) -> None:
        if until <= self._full_until:
            return
        self._full_until = until
        try:
            told(answer, self.url)
        except (Refused, Unreachable) as reason:
            self.notice(f"{reason} Waiting {until - asyncio.get_running_loop().time():.0f} s.")


def _is_absent(error: Exception) -> bool:
    """Whether nobody was there at all, so that trying again is for the user to decide."""
    return isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.UnsupportedProtocol)
