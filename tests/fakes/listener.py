"""Somebody who listens over HTTP, and looks at each piece as it comes. httpx's own transport for tests gives out an
answer only when it is whole."""

import asyncio
from collections.abc import Callable
from typing import Any, Self

from fastapi import FastAPI


class Listener:
    """A GET request in the application's own event loop."""

    def __init__(self, app: FastAPI, path: str, headers: dict[str, str] | None = None, method: str = "GET") -> None:
        target, _, query = path.partition("?")
        self._scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": target,
            "raw_path": target.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": [(name.lower().encode(), value.encode()) for name, value in (headers or {}).items()],
            "client": ("127.0.0.1", 1),
            "server": ("api", 80),
            "state": {},
        }
        self.status = 0
        self.headers: dict[str, str] = {}
        self.body = b""
        self.is_whole = False
        self._app = app
        self._something = asyncio.Event()
        self._gone = asyncio.Event()
        self._may_take = asyncio.Event()
        self._may_take.set()

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._app(self._scope, self._receive, self._send))  # type: ignore[arg-type]
        self._task.add_done_callback(lambda _: self._something.set())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.leave()

    async def leave(self) -> None:
        """Close the connection; comes back once nothing is done for it any more."""
        self._gone.set()
        self._may_take.set()
        await asyncio.wait_for(asyncio.gather(self._task, return_exceptions=True), 20)

    def stop_taking(self) -> None:
        """Read nothing of what is sent."""
        self._may_take.clear()

    def take_on(self) -> None:
        self._may_take.set()

    async def until(self, size: int) -> bytes:
        """Until so much has come, or the answer is over."""
        while len(self.body) < size and not self._task.done():
            self._something.clear()
            await asyncio.wait_for(self._something.wait(), 20)
        return self.body

    async def to_the_end(self) -> bytes:
        await asyncio.wait_for(asyncio.gather(self._task, return_exceptions=True), 20)
        return self.body

    @property
    def is_over(self) -> bool:
        return self._task.done()

    async def _receive(self) -> dict[str, Any]:
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Any) -> None:
        await self._may_take.wait()
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {name.decode(): value.decode() for name, value in message["headers"]}
        else:
            self.body += message.get("body", b"")
            self.is_whole = not message.get("more_body", False)
        self._something.set()


async def eventually(condition: Callable[[], bool]) -> None:
    """Let everything else go on until it is so."""
    for _ in range(2_000):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it never was so")
