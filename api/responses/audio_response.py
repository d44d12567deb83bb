"""Sending an answer that is still being made."""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

from starlette.responses import Response, StreamingResponse
from starlette.types import Send

from api.problems.render import Problem
from shared.errors import CascadeError
from shared.logs import get_logger


def without_body(media_type: str, filename: str) -> Response:
    """The answer to a HEAD request: nobody knows yet how long it will be."""
    response = Response(media_type=media_type, headers=_disposition(filename))
    del response.headers["Content-Length"]
    return response


def _disposition(filename: str) -> dict[str, str]:
    return {"Content-Disposition": f'attachment; filename="{filename}"'}


class AnswerAudioResponse(StreamingResponse):
    """Chunks, the last of which says that it is the last: without it the client knows that it was cut off.

    The status is sent with the first piece: what goes wrong before it can still be told by another. All the while a
    client that leaves is noticed, and ends everything.
    """

    def __init__(
        self, pieces: AsyncGenerator[bytes], media_type: str, filename: str, tag: Callable[[], str] | None = None
    ) -> None:
        """`tag` is the answer's ETag, which is known once the first piece is."""
        super().__init__(pieces, media_type=media_type, headers=_disposition(filename))
        self._pieces, self._tag = pieces, tag

    async def stream_response(self, send: Send) -> None:
        async with aclosing(self._pieces) as pieces:
            piece = await anext(pieces, b"")
            if self._tag:
                self.headers["ETag"] = self._tag()
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            try:
                while piece:
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
                    piece = await anext(pieces, b"")
            except (Problem, CascadeError) as error:
                # uvicorn closes the connection of an answer that was not completed.
                get_logger().info("answer_broken_off", code=error.code)
                return
            await send({"type": "http.response.body", "body": b"", "more_body": False})
