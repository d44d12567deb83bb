"""Texts as JSON bodies: read within limits of size and time, validated, and refused with the catalogue's problems."""

import re
from contextlib import aclosing
from typing import TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from python_multipart.multipart import parse_options_header
from starlette.requests import ClientDisconnect

from api.intake.content_length import declares_more_than
from api.intake.fields import invalid_field_problem
from api.intake.upload_slots import UploadSlots
from api.problems.catalogue import Problems
from api.problems.problem import Problem

#: The longest text with each character written as two escapes, and the other fields.
MAX_BYTES = 400_000

#: The problems of every route that takes a JSON body.
JSON_BODY_PROBLEMS = (
    Problems.INCOMPLETE_UPLOAD,
    Problems.MALFORMED_JSON,
    Problems.UPLOAD_STALLED,
    Problems.BODY_TOO_LARGE,
    Problems.NOT_JSON,
    Problems.EMPTY_TEXT,
    Problems.TEXT_TOO_LONG,
    Problems.INVALID_FIELD,
    Problems.UNEXPECTED_FIELD,
)

#: A character that is not blank in any dialect of regular expressions: Python and JavaScript differ in what `\s` means.
NOT_BLANK = r"[^\s\x1c-\x1f\x85\ufeff]"

BodyT = TypeVar("BodyT", bound=BaseModel)


async def receive_json(request: Request, upload_slots: UploadSlots, model: type[BodyT]) -> BodyT:
    """Receive the request's body and validate it.

    Raises:
        Problem: it is invalid, too slow, or too many bodies are being received.
    """
    media_type, _ = parse_options_header(request.headers.get("content-type", ""))
    if media_type != b"application/json":
        raise Problem(Problems.NOT_JSON)
    if declares_more_than(request.headers, MAX_BYTES):
        raise _too_large_problem()
    body = bytearray()
    async with upload_slots.acquire() as slot, aclosing(request.stream()) as chunks:
        try:
            while (chunk := await slot.next(chunks)) is not None:
                body += chunk
                if len(body) > MAX_BYTES:
                    raise _too_large_problem()
        except ClientDisconnect:
            raise Problem(Problems.INCOMPLETE_UPLOAD) from None
    return parse_json(bytes(body), model)


def parse_json(body: bytes, model: type[BodyT]) -> BodyT:
    """Validate a body.

    Raises:
        Problem: it is invalid.
    """
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        raise _problem_of_fault(error.errors()[0], model) from None


def strip_text(text: str) -> str:
    """`text` without the blanks around it.

    Raises:
        Problem: nothing is left.
    """
    if not re.search(NOT_BLANK, text):
        raise Problem(Problems.EMPTY_TEXT)
    return text.strip()


def _problem_of_fault(fault: ErrorDetails, model: type[BaseModel]) -> Problem:
    """The problem for a fault that pydantic has found."""
    name = str(fault["loc"][0]) if fault["loc"] else ""
    match fault["type"]:
        case "json_invalid":
            return Problem(Problems.MALFORMED_JSON)
        case "missing":
            return Problem(Problems.EMPTY_TEXT)
        case "string_too_long" if name == "text":
            return Problem(Problems.TEXT_TOO_LONG, max_chars=fault["ctx"]["max_length"])
        case "extra_forbidden" | "model_type":
            fields = sorted(model.model_fields, key=lambda field: field != "text")
            return Problem(Problems.UNEXPECTED_FIELD, fields=", ".join(fields))
    return invalid_field_problem(name)


def _too_large_problem() -> Problem:
    return Problem(Problems.BODY_TOO_LARGE, max_bytes=MAX_BYTES)
