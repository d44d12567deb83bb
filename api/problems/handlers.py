"""FastAPI's exception handlers: every error of the application becomes a problem."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.routing import Match

from api.problems.catalogue import Problems
from api.problems.problem import Problem
from api.problems.render import render
from shared.errors import CascadeError

#: The expected value of a header, a query parameter or a part of the path, by pydantic's type of the fault.
_EXPECTED = {
    "float_parsing": "a number",
    "greater_than_equal": "at least {ge:g}",
    "less_than_equal": "at most {le:g}",
    "literal_error": "one of {expected}",
    "string_too_long": "at most {max_length} characters long",
}


def install_handlers(app: FastAPI, headers: Mapping[str, str]) -> None:
    """Make every error of the application a problem. `headers` go with unexpected errors, whose response passes no
    middleware."""

    @app.exception_handler(Problem)
    @app.exception_handler(CascadeError)
    async def handle_problem(_request: Request, error: Problem | CascadeError) -> JSONResponse:
        return render(error)

    @app.exception_handler(RequestValidationError)
    async def handle_invalid_request(_request: Request, error: RequestValidationError) -> JSONResponse:
        faults = "; ".join(_describe_fault(fault) for fault in error.errors())
        return render(Problem(Problems.INVALID_REQUEST, faults=faults))

    @app.exception_handler(HTTPException)
    async def handle_http_error(request: Request, error: HTTPException) -> JSONResponse:
        if error.status_code == Problems.NOT_FOUND.status:
            return render(Problem(Problems.NOT_FOUND), error.headers)
        if error.status_code == Problems.METHOD_NOT_ALLOWED.status:
            return render(Problem(Problems.METHOD_NOT_ALLOWED, allowed=", ".join(_allowed_methods(request))))
        kind = replace(Problems.HTTP_ERROR, status=error.status_code)
        return render(Problem(kind, reason=error.detail), error.headers)

    @app.exception_handler(Exception)
    async def handle_unexpected_error(_request: Request, _error: Exception) -> JSONResponse:
        # Raised again by Starlette, and logged by uvicorn.
        return render(Problem(Problems.INTERNAL_ERROR), headers)


def _allowed_methods(request: Request) -> list[str]:
    """The methods that an address supports. Starlette lists only those of its first route."""
    return [
        method
        for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
        if any(route.matches({**request.scope, "method": method})[0] is Match.FULL for route in request.app.routes)
    ]


def _describe_fault(fault: Mapping[str, Any]) -> str:
    """One fault that pydantic has found, in words."""
    place = fault["loc"][0]
    name = fault["loc"][-1]
    expected = _EXPECTED.get(fault["type"], "valid").format(**fault.get("ctx", {}))
    return f"the {place} {name} must be {expected}"
