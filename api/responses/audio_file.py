"""An answer's file as it is sent."""

from starlette.responses import FileResponse, MalformedRangeHeader, RangeNotSatisfiable
from starlette.types import Message, Receive, Scope, Send

from api.problems.render import Problem


def removed() -> Problem:
    """The refusal where the file has gone, be it while it was looked for."""
    return Problem(410, "no_audio", "The answer's file has been removed from the volume.")


def no_answer(job_id: str) -> Problem:
    """The refusal where there will be none."""
    return Problem(410, "no_audio", f"This job ended without an answer. See /status/{job_id} for the reason.")


def no_such_range(size: int) -> Problem:
    """The refusal where more is skipped than there is."""
    detail = f"The file has no such range. It is {size:,} bytes long."
    return Problem(416, "no_such_range", detail, {"Content-Range": f"bytes */{size}"})


def text_alone(job_id: str) -> Problem:
    """The refusal where none was asked for."""
    return Problem(410, "no_audio", f"This job was asked for text alone. See /status/{job_id} for it.")


class WavFileResponse(FileResponse):
    """Whole or in part. Starlette tells what is wrong with a `Range` as plain text, and begins an answer before it has
    opened the file."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        beginning: list[Message] = []

        async def send_once_open(message: Message) -> None:
            if message["type"] == "http.response.start":
                beginning.append(message)
                return
            if beginning:
                await send(beginning.pop())
            await send(message)

        try:
            await super().__call__(scope, receive, send_once_open)
        except FileNotFoundError:
            raise removed() from None

    @classmethod
    def _parse_range_header(cls, http_range: str, file_size: int) -> list[tuple[int, int]]:
        try:
            return super()._parse_range_header(http_range, file_size)
        except RangeNotSatisfiable:
            raise no_such_range(file_size) from None
        except MalformedRangeHeader:
            return []  # the whole file: what a server does not understand it must ignore (RFC 9110, 14.2)
