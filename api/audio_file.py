"""An answer's file as it is sent."""

from starlette.responses import FileResponse, MalformedRangeHeader, RangeNotSatisfiable

from api.problems import Problem


class AudioFile(FileResponse):
    """Whole or in part. Starlette tells what is wrong with a `Range` as plain text."""

    @classmethod
    def _parse_range_header(cls, http_range: str, file_size: int) -> list[tuple[int, int]]:
        try:
            return super()._parse_range_header(http_range, file_size)
        except RangeNotSatisfiable:
            detail = f"The file has no such range. It is {file_size:,} bytes long."
            raise Problem(416, "no_such_range", detail, {"Content-Range": f"bytes */{file_size}"}) from None
        except MalformedRangeHeader:
            return []  # the whole file: what a server does not understand it must ignore (RFC 9110, 14.2)
