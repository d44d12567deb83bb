"""Draining: the rest of a body that a client sends after its response is discarded before the connection closes.

A server that closes a connection with unread bytes resets it, and the reset may overtake the response: the sender of a
recording that is too large would see "connection reset" in place of the 413 that says so.
"""

import asyncio

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

#: The longest time that the rest of a refused body is read.
_DRAIN_S = 30.0

#: A client that has sent nothing for this long has read the response.
_IDLE_S = 5.0

#: Drains at the same time. Further connections are closed without one, so that other requests find room.
_MAX_DRAINING = 256


class DrainBodyMiddleware:
    """Sends a response at once, and closes the connection only when the client has sent the rest of its body."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._draining = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not _has_body(Headers(scope=scope)):
            await self._app(scope, receive, send)
            return
        has_more = True

        async def receive_and_note() -> Message:
            nonlocal has_more
            message = await receive()
            has_more = message.get("more_body", False)  # a disconnect has none: nothing follows it
            return message

        async def send_and_drain(message: Message) -> None:
            if has_more and message["type"] == "http.response.start":
                MutableHeaders(scope=message)["connection"] = "close"
            if has_more and message["type"] == "http.response.body" and not message.get("more_body", False):
                await send({**message, "more_body": True})
                await drain()
                message = {"type": "http.response.body", "body": b""}
            await send(message)

        async def drain() -> None:
            if self._draining >= _MAX_DRAINING:
                return
            self._draining += 1
            try:
                async with asyncio.timeout(_DRAIN_S):
                    while has_more:
                        async with asyncio.timeout(_IDLE_S):
                            await receive_and_note()
            except TimeoutError:
                pass
            finally:
                self._draining -= 1

        await self._app(scope, receive_and_note, send_and_drain)


def _has_body(headers: Headers) -> bool:
    return headers.get("content-length", "0") != "0" or "transfer-encoding" in headers
