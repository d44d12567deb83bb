"""A client that reads a response's body while it is being sent, which httpx's own test transport cannot."""

import asyncio
from typing import Any, Self

from fastapi import FastAPI


class Listener:
    """A request in the application's own event loop."""

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
        self.is_complete = False
        self._app = app
        self._progress = asyncio.Event()
        self._disconnected = asyncio.Event()
        self._may_send = asyncio.Event()
        self._may_send.set()

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._app(self._scope, self._receive, self._send))  # type: ignore[arg-type]
        self._task.add_done_callback(lambda _: self._progress.set())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.disconnect()

    async def disconnect(self) -> None:
        """Close the connection, and wait until the application has ended the request."""
        self._disconnected.set()
        self._may_send.set()
        await asyncio.wait_for(asyncio.gather(self._task, return_exceptions=True), 20)

    def pause_reading(self) -> None:
        """Accept nothing more of the response."""
        self._may_send.clear()

    def resume_reading(self) -> None:
        """Accept the response again."""
        self._may_send.set()

    async def read(self, size: int) -> bytes:
        """Wait until at least `size` bytes have come in all, or the response has ended."""
        while len(self.body) < size and not self._task.done():
            self._progress.clear()
            await asyncio.wait_for(self._progress.wait(), 20)
        return self.body

    async def read_to_end(self) -> bytes:
        """Wait for the end of the response."""
        await asyncio.wait_for(asyncio.gather(self._task, return_exceptions=True), 20)
        return self.body

    @property
    def is_done(self) -> bool:
        """The application has ended the request, with a complete response or without."""
        return self._task.done()

    async def _receive(self) -> dict[str, Any]:
        await self._disconnected.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Any) -> None:
        await self._may_send.wait()
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {name.decode(): value.decode() for name, value in message["headers"]}
        else:
            self.body += message.get("body", b"")
            self.is_complete = not message.get("more_body", False)
        self._progress.set()
