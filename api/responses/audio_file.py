"""The response with a stored WAV file, whole or in part."""

import asyncio
import os
import stat
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import anyio
from starlette.responses import FileResponse, MalformedRangeHeader, RangeNotSatisfiable
from starlette.types import Receive, Scope, Send

from api.problems.catalogue import Problems
from api.problems.problem import Problem
from shared.storage.storage import StoredFile


class WavFileResponse(FileResponse):
    """A stored WAV file, whole or in part.

    Starlette's response knows files by their path, sends the status before it has opened the file, and reports a bad
    `Range` as plain text. This one opens the file first, and reads the open file.
    """

    def __init__(self, open_file: Callable[[], StoredFile], missing_problem: Problem) -> None:
        """`missing_problem` is raised if `open_file`, which may block, finds no file."""
        super().__init__("", media_type="audio/wav")
        self._open_stored = open_file
        self._missing_problem = missing_problem

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            file = await asyncio.to_thread(self._open_stored)
        except FileNotFoundError:
            raise self._missing_problem from None
        with file:
            self._file = file
            # Mode and time are fields 0 and 8 of the ten, the size is field 6.
            self.stat_result = os.stat_result((stat.S_IFREG, 0, 0, 0, 0, 0, file.size, 0, file.modified_at, 0))
            self.set_stat_headers(self.stat_result)
            self.headers["Content-Disposition"] = f'attachment; filename="{file.name}"'
            await super().__call__(scope, receive, send)

    @asynccontextmanager
    async def _open_file(self) -> AsyncIterator[anyio.AsyncFile[bytes]]:
        yield anyio.wrap_file(self._file.content)

    @classmethod
    def _parse_range_header(cls, http_range: str, file_size: int) -> list[tuple[int, int]]:
        try:
            return super()._parse_range_header(http_range, file_size)
        except RangeNotSatisfiable:
            raise Problem(Problems.NO_SUCH_RANGE, size=file_size) from None
        except MalformedRangeHeader:
            return []  # the whole file: a server must ignore a range that it does not understand (RFC 9110, 14.2)
