"""The response that streams an answer while it is being made."""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

from starlette.responses import Response, StreamingResponse
from starlette.types import Send

from api.problems.problem import Problem
from shared.errors import CascadeError
from shared.logs import get_logger


def headers_response(media_type: str, filename: str) -> Response:
    """The response to a HEAD request, without Content-Length: the length of the answer is not known yet."""
    response = Response(media_type=media_type, headers=_disposition(filename))
    del response.headers["Content-Length"]
    return response


def _disposition(filename: str) -> dict[str, str]:
    return {"Content-Disposition": f'attachment; filename="{filename}"'}


class AnswerAudioResponse(StreamingResponse):
    """A chunked response. A client that does not get the final empty chunk knows that it was cut off.

    The status is sent with the first chunk, so an error before it is still sent with its own status. The response ends
    as soon as the client disconnects.
    """

    def __init__(
        self, chunks: AsyncGenerator[bytes], media_type: str, filename: str, etag: Callable[[], str] | None = None
    ) -> None:
        """`etag` returns the answer's ETag, which is known once the first chunk is."""
        super().__init__(chunks, media_type=media_type, headers=_disposition(filename))
        self._chunks = chunks
        self._etag = etag

    async def stream_response(self, send: Send) -> None:
        async with aclosing(self._chunks) as chunks:
            chunk = await anext(chunks, b"")
            if self._etag:
                self.headers["ETag"] = self._etag()
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            try:
                while chunk:
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
                    chunk = await anext(chunks, b"")
            except (Problem, CascadeError) as error:
                # uvicorn closes the connection of a response that was not completed.
                get_logger().info("answer_aborted", code=error.code)
                return
            await send({"type": "http.response.body", "body": b"", "more_body": False})
