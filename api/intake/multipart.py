"""Receiving an upload: parsed as it arrives, and written once, to the volume, under a name of our own."""

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

from api.intake.fields import TEXT_FIELDS, bad_text, checked
from api.intake.sniff import ACCEPTED, HEAD_BYTES, is_audio
from api.intake.upload_slots import UploadSlots
from api.problems.render import Problem
from shared.storage.storage import Storage

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

FILE_FIELD = "audio_file"

_MAX_TEXT_BYTES = 16_000

#: Written to the disk in pieces of about this size: a thread is borrowed for each.
_BLOCK_BYTES = 1 << 20

#: What boundaries, headers and text fields may add to a body on top of the file.
_FORM_BYTES = 100_000


@dataclass
class Upload:
    """A form as it comes in."""

    texts: dict[str, str] = field(default_factory=dict)
    size: int = 0
    digest: str = ""
    """SHA-256 of the file and the texts."""


async def receive_upload(
    request: Request, storage: Storage, intake: UploadSlots, job_id: str, max_bytes: int
) -> Upload:
    """Write the form's file to the job's place on the volume and read its texts. Nothing stays behind on an error.

    Raises:
        Problem: the form is not what it should be, comes too slowly, or is one too many.
        StorageFull: the volume has no room.
    """
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    boundary = options.get(b"boundary", b"")
    if kind != b"multipart/form-data" or not boundary:
        raise Problem(415, "not_a_form", f"Send multipart/form-data with the recording in the field {FILE_FIELD}.")
    declared = request.headers.get("content-length", "")
    # int() takes no more than 4,300 digits; how many there are is up to the caller.
    if declared.isdecimal() and float(declared) > max_bytes + _FORM_BYTES:
        raise _too_large(max_bytes)
    async with (
        intake.place() as arrival,
        contextmanager_in_threadpool(storage.upload_writer(job_id)) as file,
        aclosing(request.stream()) as chunks,
    ):
        form = _Form(boundary, max_bytes)
        try:
            while (chunk := await arrival.next(chunks)) is not None:
                form.feed(chunk)
                if len(form.pending) >= _BLOCK_BYTES:
                    await asyncio.to_thread(form.flush, file)
        except ClientDisconnect:
            raise _incomplete() from None
        await asyncio.to_thread(form.flush, file)
        return form.finish()


def _too_large(max_bytes: int) -> Problem:
    detail = f"The recording is larger than {max_bytes / 1_000_000:g} MB. Send a shorter or compressed one."
    return Problem(413, "file_too_large", detail)


class _Form:
    """The state of one form, driven by the parser's callbacks."""

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
        self._header_name, self._header_value = bytearray(), bytearray()
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
            raise _malformed() from None

    def feed(self, chunk: bytes) -> None:
        self._received += len(chunk)
        if self._received > self._max_bytes + _FORM_BYTES:  # whatever it is made of, and where no length was declared
            raise _too_large(self._max_bytes)
        try:
            self._parser.write(chunk)
        except FormParserError:
            raise _malformed() from None

    def flush(self, file: BinaryIO) -> None:
        file.write(self.pending)
        self._digest.update(self.pending)
        self.pending.clear()

    def finish(self) -> Upload:
        """The whole form, once all of its file has been flushed."""
        upload = self._upload
        if not self._ended:
            raise _incomplete()
        if FILE_FIELD not in self._seen:
            raise Problem(422, "missing_file", f"Send the recording in the form's field {FILE_FIELD}.")
        if upload.size == 0:
            raise Problem(422, "empty_file", f"The file in {FILE_FIELD} is empty. Send a recording.")
        if not is_audio(self._head):
            raise _not_audio()
        for name, text in sorted(upload.texts.items()):
            self._digest.update(f"\0{name}={text}".encode())
        upload.digest = self._digest.hexdigest()
        return upload

    def _on_part_begin(self) -> None:
        self._disposition, self._name = b"", ""
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
            raise Problem(422, "too_many_files", f"Send one recording, in one field {FILE_FIELD}.")
        if self._name in self._seen or self._name not in (FILE_FIELD, *TEXT_FIELDS):
            known = ", ".join([FILE_FIELD, *TEXT_FIELDS])
            raise Problem(422, "unexpected_field", f"The form may have each of these fields once: {known}.")
        self._seen.add(self._name)

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        if self._name != FILE_FIELD:
            self._text += data[start:end]
            if len(self._text) > _MAX_TEXT_BYTES:
                raise bad_text(self._name)
            return
        self.pending += data[start:end]
        self._upload.size += end - start
        if len(self._head) < HEAD_BYTES:
            self._head += data[start : min(end, start + HEAD_BYTES)]
            if len(self._head) >= HEAD_BYTES and not is_audio(self._head):
                raise _not_audio()
        if self._upload.size > self._max_bytes:
            raise _too_large(self._max_bytes)

    def _on_part_end(self) -> None:
        if self._name == FILE_FIELD:
            return
        if text := checked(self._name, self._text.decode(errors="replace")):
            self._upload.texts[self._name] = text

    def _on_end(self) -> None:
        self._ended = True


def _incomplete() -> Problem:
    return Problem(400, "incomplete_upload", "The upload ended before the form was complete.")


def _malformed() -> Problem:
    return Problem(400, "malformed_form", "The body is not well-formed multipart/form-data.")


def _not_audio() -> Problem:
    detail = f"The file in {FILE_FIELD} is not audio of a kind that is accepted: {ACCEPTED}."
    return Problem(415, "unsupported_media_type", detail)
