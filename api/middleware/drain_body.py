"""Answering a caller who is still sending.

A server that closes a connection with unread bytes resets it, and the reset may overtake the answer: the caller of a
recording that is too large would see "connection reset" in place of the 413 that says so.
"""

import asyncio

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

#: What a refused caller still sends is read for so long, and thrown away.
_LINGER_S = 30.0

#: A caller who has sent nothing for so long has read the answer.
_IDLE_S = 5.0

#: Past so many at once, connections are closed at once: courtesy has to leave room for others.
_MOST = 256


class DrainBodyMiddleware:
    """Sends an answer at once, and closes the connection only after a body that nobody wanted has been sent out."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._lingering = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not _has_body(Headers(scope=scope)):
            await self._app(scope, receive, send)
            return
        more = True

        async def receive_and_note() -> Message:
            nonlocal more
            message = await receive()
            more = message.get("more_body", False)  # nor does anything follow a disconnect
            return message

        async def send_and_linger(message: Message) -> None:
            if more and message["type"] == "http.response.start":
                MutableHeaders(scope=message)["connection"] = "close"
            if more and message["type"] == "http.response.body" and not message.get("more_body", False):
                await send({**message, "more_body": True})
                await linger()
                message = {"type": "http.response.body", "body": b""}
            await send(message)

        async def linger() -> None:
            if self._lingering >= _MOST:
                return
            self._lingering += 1
            try:
                async with asyncio.timeout(_LINGER_S):
                    while more:
                        async with asyncio.timeout(_IDLE_S):
                            await receive_and_note()
            except TimeoutError:
                pass
            finally:
                self._lingering -= 1

        await self._app(scope, receive_and_note, send_and_linger)


def _has_body(headers: Headers) -> bool:
    return headers.get("content-length", "0") != "0" or "transfer-encoding" in headers
