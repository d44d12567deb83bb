"""Errors as `application/problem+json` (RFC 9457), each with a stable `code` and a sentence that says what to do."""

import math
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.routing import Match

from api.middleware.security_headers import UNLESS_SAID
from shared.errors import CascadeError, JobNotFound, QueueFull, QueueUnavailable, StorageFull
from shared.logs import get_logger

_STATUS: dict[type[CascadeError], int] = {JobNotFound: 404, QueueFull: 503, QueueUnavailable: 503, StorageFull: 507}

#: What a caller is told to wait where the error does not say.
_RETRY_AFTER_S = 5

#: What a header or a query must be, by the kind of fault, in words of our own.
_WANTED = {
    "float_parsing": "a number",
    "greater_than_equal": "at least {ge:g}",
    "less_than_equal": "at most {le:g}",
    "literal_error": "one of {expected}",
    "string_too_long": "at most {max_length} characters long",
}

#: Where Starlette refuses by itself.
_REFUSED = {
    404: ("not_found", "There is nothing at this address."),
    405: ("method_not_allowed", "This address takes another method, which Allow names."),
}


class Problem(Exception):
    """An answer that is not the one the caller hoped for."""

    def __init__(self, status: int, code: str, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status, self.code, self.detail, self.headers = status, code, detail, dict(headers or {})


class ProblemBody(BaseModel):
    """An error (RFC 9457)."""

    type: str = Field(default="about:blank", description="Always about:blank: `code` tells errors apart.")
    title: str = Field(description="The HTTP status in words.")
    status: int = Field(description="The HTTP status.")
    detail: str = Field(description="What went wrong, and what to do.")
    code: str = Field(description="A stable word for programs.")


MEDIA_TYPE = "application/problem+json"

#: The OpenAPI entry for whatever a route does not name.
ANY: dict[int | str, dict[str, Any]] = {
    "default": {"description": "Any other error", "model": ProblemBody, "content": {MEDIA_TYPE: {}}}
}


def responses(*problems: tuple[int, str, str]) -> dict[int | str, dict[str, Any]]:
    """The OpenAPI entries for errors that a route gives: status, code and detail of an example."""
    documented: dict[int | str, dict[str, Any]] = {}
    for status, code, detail in problems:
        examples = documented.setdefault(
            status,
            {
                "description": HTTPStatus(status).phrase,
                "model": ProblemBody,
                "content": {MEDIA_TYPE: {"examples": {}}},
            },
        )["content"][MEDIA_TYPE]["examples"]
        examples[code] = {"value": _body(status, code, detail)}
    return documented


def install(app: FastAPI) -> None:
    """Make every error of the application a problem."""

    @app.exception_handler(Problem)
    @app.exception_handler(CascadeError)
    async def refused(_request: Request, error: Problem | CascadeError) -> JSONResponse:
        return answer(error)

    @app.exception_handler(RequestValidationError)
    async def invalid(_request: Request, error: RequestValidationError) -> JSONResponse:
        faults = "; ".join(_fault(fault) for fault in error.errors())
        return _answer(422, "invalid_request", f"Correct the request: {faults}.")

    @app.exception_handler(HTTPException)
    async def http_error(request: Request, error: HTTPException) -> JSONResponse:
        code, detail = _REFUSED.get(error.status_code, ("http_error", f"{error.detail}."))
        headers = {"Allow": ", ".join(_methods(request))} if error.status_code == 405 else error.headers
        return _answer(error.status_code, code, detail, headers)

    @app.exception_handler(Exception)
    async def unexpected(_request: Request, _error: Exception) -> JSONResponse:
        # Raised again by Starlette, and logged by uvicorn. The answer passes no middleware.
        return _answer(500, CascadeError.code, CascadeError.message, UNLESS_SAID)


def answer(error: Problem | CascadeError) -> JSONResponse:
    """The answer that an error becomes."""
    if isinstance(error, Problem):
        return _answer(error.status, error.code, error.detail, error.headers)
    status = _STATUS.get(type(error), 500)
    if status == 500:
        get_logger().error("request_failed", code=error.code)
    headers = {"Retry-After": str(math.ceil(error.retry_after_s or _RETRY_AFTER_S))} if status == 503 else {}
    return _answer(status, error.code, error.public_message, headers)


def _methods(request: Request) -> list[str]:
    """What an address can be asked with. Starlette names only what the first of its routes takes."""
    return [
        method
        for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
        if any(route.matches({**request.scope, "method": method})[0] is Match.FULL for route in request.app.routes)
    ]


def _fault(fault: Mapping[str, Any]) -> str:
    place, name = fault["loc"][0], fault["loc"][-1]
    wanted = _WANTED.get(fault["type"], "valid").format(**fault.get("ctx", {}))
    return f"the {place} {name} must be {wanted}"


def _answer(status: int, code: str, detail: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    body = _body(status, code, detail)
    return JSONResponse(body, status, headers=headers, media_type=MEDIA_TYPE)


def _body(status: int, code: str, detail: str) -> dict[str, Any]:
    title = HTTPStatus(status).phrase
    return ProblemBody(title=title, status=status, detail=detail, code=code).model_dump()
