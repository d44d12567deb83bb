"""A text that comes in as JSON: read as far as it may go, as fast as it must come, and refused in words of our own."""

import re
from contextlib import aclosing
from typing import TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from python_multipart.multipart import parse_options_header
from starlette.requests import ClientDisconnect

from api.intake.fields import bad_text
from api.intake.upload_slots import UploadSlots
from api.problems.render import Problem

#: The longest text with each character written as two escapes, and the other fields.
MAX_BYTES = 400_000

_INCOMPLETE = (400, "incomplete_upload", "The upload ended before the text was complete.")
_MALFORMED = (400, "malformed_json", 'The body is not well-formed JSON. Send an object such as {"text": "Hello."}.')
_TOO_LARGE = (413, "body_too_large", f"The body is larger than {MAX_BYTES:,} bytes. Send a shorter text.")
_NOT_JSON = (415, "not_json", "Send JSON, with the header Content-Type: application/json.")
_EMPTY = (422, "empty_text", "The field text is missing or blank. Send a text with at least one word.")

PROBLEMS = (
    _INCOMPLETE,
    _MALFORMED,
    (408, "upload_stalled", "The upload came too slowly. Send it again."),
    _TOO_LARGE,
    _NOT_JSON,
    _EMPTY,
    (422, "text_too_long", "The text is longer than 4,000 characters. Send a shorter one, or several."),
    (422, "invalid_field", "The field language must be a language code such as en or pt-BR."),
    (422, "unexpected_field", "The body must be an object with no other fields than: text, language, voice."),
)

#: What every blank is not, in all dialects of regular expressions: Python and JavaScript differ in what `\s` means.
NO_BLANK = r"[^\s\x1c-\x1f\x85\ufeff]"

BodyT = TypeVar("BodyT", bound=BaseModel)


async def receive_json(request: Request, intake: UploadSlots, kind: type[BodyT]) -> BodyT:
    """The request's body.

    Raises:
        Problem: it is not what it should be, comes too slowly, or is one too many.
    """
    media_type, _ = parse_options_header(request.headers.get("content-type", ""))
    if media_type != b"application/json":
        raise Problem(*_NOT_JSON)
    declared = request.headers.get("content-length", "")
    # int() takes no more than 4,300 digits; how many there are is up to the caller.
    if declared.isdecimal() and float(declared) > MAX_BYTES:
        raise Problem(*_TOO_LARGE)
    body = bytearray()
    async with intake.place() as arrival, aclosing(request.stream()) as chunks:
        try:
            while (chunk := await arrival.next(chunks)) is not None:
                body += chunk
                if len(body) > MAX_BYTES:
                    raise Problem(*_TOO_LARGE)
        except ClientDisconnect:
            raise Problem(*_INCOMPLETE) from None
    return read_json(bytes(body), kind)


def read_json(body: bytes, kind: type[BodyT]) -> BodyT:
    """What a body says.

    Raises:
        Problem: it is not what it should be.
    """
    try:
        return kind.model_validate_json(body)
    except ValidationError as error:
        raise _refusal(error.errors()[0], kind) from None


def not_blank(text: str) -> str:
    """`text` without the blanks around it.

    Raises:
        Problem: nothing is left.
    """
    if not re.search(NO_BLANK, text):
        raise Problem(*_EMPTY)
    return text.strip()


def _refusal(fault: ErrorDetails, kind: type[BaseModel]) -> Problem:
    """What is told of what pydantic has found."""
    name = str(fault["loc"][0]) if fault["loc"] else ""
    match fault["type"]:
        case "json_invalid":
            return Problem(*_MALFORMED)
        case "missing":
            return Problem(*_EMPTY)
        case "string_too_long" if name == "text":
            limit = f"{fault['ctx']['max_length']:,} characters"
            return Problem(422, "text_too_long", f"The text is longer than {limit}. Send a shorter one, or several.")
        case "extra_forbidden" | "model_type":
            fields = ", ".join(sorted(kind.model_fields, key=lambda field: field != "text"))
            detail = f"The body must be an object with no other fields than: {fields}."
            return Problem(422, "unexpected_field", detail)
    return bad_text(name)
