"""Sending an answer that is still being made."""

from collections.abc import AsyncIterator
from contextlib import suppress

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from api.spoken import Interrupted


class SpokenResponse(StreamingResponse):
    """Chunks, the last of which says that it is the last: without it the client knows that it was cut off."""

    def __init__(self, first: bytes, rest: AsyncIterator[bytes]) -> None:
        """`first` has been waited for, so that what goes wrong before it can be told by a status."""
        super().__init__(_all(first, rest), media_type="audio/wav")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with suppress(Interrupted):  # uvicorn closes the connection of an answer that was not completed
            await super().__call__(scope, receive, send)


async def _all(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for piece in rest:
        yield piece
