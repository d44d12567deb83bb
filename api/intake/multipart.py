"""Recordings as multipart forms: parsed while they arrive, and written once, to the volume, under the job's id."""

import asyncio
import hashlib
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO

from fastapi import Request
from fastapi.concurrency import contextmanager_in_threadpool
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect

from api.intake.content_length import declares_more_than
from api.intake.fields import TEXT_FIELDS, invalid_field_problem, validate_field
from api.intake.sniff import ACCEPTED_FORMATS, HEAD_BYTES, is_audio
from api.intake.upload_slots import UploadSlots
from api.problems.catalogue import Problems
from api.problems.problem import Problem
from shared.storage.storage import Storage

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

FILE_FIELD = "audio_file"

_MAX_TEXT_BYTES = 16_000

#: Written to the disk in blocks of about this size, each in a thread.
_BLOCK_BYTES = 1 << 20

#: Room in a body for boundaries, headers and text fields, on top of the file.
_FORM_BYTES = 100_000


@dataclass
class Upload:
    """A form that has been received, apart from its recording."""

    texts: dict[str, str] = field(default_factory=dict)
    size: int = 0
    digest: str = ""
    """SHA-256 of the file and the texts."""


async def receive_upload(
    request: Request, storage: Storage, upload_slots: UploadSlots, job_id: str, max_bytes: int
) -> Upload:
    """Write the form's recording to the volume, as the job's upload, and read its texts. After an error no file is
    left.

    Raises:
        Problem: the form is invalid, too slow, or too many bodies are being received.
        StorageFull: the volume has no room.
    """
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    boundary = options.get(b"boundary", b"")
    if kind != b"multipart/form-data" or not boundary:
        raise Problem(Problems.NOT_A_FORM, field=FILE_FIELD)
    if declares_more_than(request.headers, max_bytes + _FORM_BYTES):
        raise _too_large_problem(max_bytes)
    async with (
        upload_slots.acquire() as slot,
        contextmanager_in_threadpool(storage.upload_writer(job_id)) as file,
        aclosing(request.stream()) as chunks,
    ):
        form = _Form(boundary, max_bytes)
        try:
            while (chunk := await slot.next(chunks)) is not None:
                form.feed(chunk)
                if len(form.pending) >= _BLOCK_BYTES:
                    await asyncio.to_thread(form.flush, file)
        except ClientDisconnect:
            raise Problem(Problems.INCOMPLETE_UPLOAD) from None
        await asyncio.to_thread(form.flush, file)
        return form.finish()


def _too_large_problem(max_bytes: int) -> Problem:
    return Problem(Problems.FILE_TOO_LARGE, max_mb=max_bytes / 1_000_000)


class _Form:
    """One form while it is parsed, driven by the parser's callbacks."""

    def __init__(self, boundary: bytes, max_bytes: int) -> None:
        self.pending = bytearray()  # file bytes that are not on the disk yet
        self._max_bytes = max_bytes
        self._upload = Upload()
        self._digest = hashlib.sha256()
        self._head = b""
        self._received = 0
        self._seen: set[str] = set()
        self._ended = False
        self._text = bytearray()
        self._header_name = bytearray()
        self._header_value = bytearray()
        self._disposition = b""
        self._name = ""
        callbacks: MultipartCallbacks = {
            "on_part_begin": self._on_part_begin,
            "on_header_field": lambda data, start, end: self._header_name.extend(data[start:end]),
            "on_header_value": lambda data, start, end: self._header_value.extend(data[start:end]),
            "on_header_end": self._on_header_end,
            "on_headers_finished": self._on_headers_finished,
            "on_part_data": self._on_part_data,
            "on_part_end": self._on_part_end,
            "on_end": self._on_end,
        }
        try:
            self._parser = MultipartParser(boundary, callbacks)
        except FormParserError:
            raise Problem(Problems.MALFORMED_FORM) from None

    def feed(self, chunk: bytes) -> None:
        # All parts count, also those of a body without a declared length.
        self._received += len(chunk)
        if self._received > self._max_bytes + _FORM_BYTES:
            raise _too_large_problem(self._max_bytes)
        try:
            self._parser.write(chunk)
        except FormParserError:
            raise Problem(Problems.MALFORMED_FORM) from None

    def flush(self, file: BinaryIO) -> None:
        file.write(self.pending)
        self._digest.update(self.pending)
        self.pending.clear()

    def finish(self) -> Upload:
        """The form, once all of its recording has been flushed.

        Raises:
            Problem: it is incomplete, or the recording is missing, empty or not audio.
        """
        upload = self._upload
        if not self._ended:
            raise Problem(Problems.INCOMPLETE_UPLOAD)
        if FILE_FIELD not in self._seen:
            raise Problem(Problems.MISSING_FILE, field=FILE_FIELD)
        if upload.size == 0:
            raise Problem(Problems.EMPTY_FILE, field=FILE_FIELD)
        if not is_audio(self._head):
            raise _not_audio_problem()
        for name, text in sorted(upload.texts.items()):
            self._digest.update(f"\0{name}={text}".encode())
        upload.digest = self._digest.hexdigest()
        return upload

    def _on_part_begin(self) -> None:
        self._disposition = b""
        self._name = ""
        self._text.clear()

    def _on_header_end(self) -> None:
        if self._header_name.lower() == b"content-disposition":
            self._disposition = bytes(self._header_value)
        self._header_name.clear()
        self._header_value.clear()

    def _on_headers_finished(self) -> None:
        _, options = parse_options_header(self._disposition)
        self._name = options.get(b"name", b"").decode(errors="replace")
        if self._name == FILE_FIELD and self._name in self._seen:
            raise Problem(Problems.TOO_MANY_FILES, field=FILE_FIELD)
        if self._name in self._seen or self._name not in (FILE_FIELD, *TEXT_FIELDS):
            raise Problem(Problems.UNEXPECTED_FIELD, fields=", ".join([FILE_FIELD, *TEXT_FIELDS]))
        self._seen.add(self._name)

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        if self._name != FILE_FIELD:
            self._text += data[start:end]
            if len(self._text) > _MAX_TEXT_BYTES:
                raise invalid_field_problem(self._name)
            return
        self.pending += data[start:end]
        self._upload.size += end - start
        if len(self._head) < HEAD_BYTES:
            self._head += data[start : min(end, start + HEAD_BYTES)]
            if len(self._head) >= HEAD_BYTES and not is_audio(self._head):
                raise _not_audio_problem()
        if self._upload.size > self._max_bytes:
            raise _too_large_problem(self._max_bytes)

    def _on_part_end(self) -> None:
        if self._name == FILE_FIELD:
            return
        if text := validate_field(self._name, self._text.decode(errors="replace")):
            self._upload.texts[self._name] = text

    def _on_end(self) -> None:
        self._ended = True


def _not_audio_problem() -> Problem:
    return Problem(Problems.UNSUPPORTED_MEDIA_TYPE, field=FILE_FIELD, formats=ACCEPTED_FORMATS)
