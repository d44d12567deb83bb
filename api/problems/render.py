"""Problems as responses of Starlette."""

from collections.abc import Mapping

from starlette.responses import JSONResponse

from api.problems.body import MEDIA_TYPE, problem_body
from api.problems.domain_errors import problem_of
from api.problems.problem import Problem
from shared.errors import CascadeError
from shared.logs import get_logger


def render(error: Problem | CascadeError, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """The response for an error, with `headers` in addition to the problem's own."""
    if isinstance(error, CascadeError):
        problem = problem_of(error)
        if problem.status == 500:
            get_logger().error("request_failed", code=error.code)
    else:
        problem = error
    all_headers = {**(headers or {}), **problem.headers}
    return JSONResponse(problem_body(problem), problem.status, headers=all_headers, media_type=MEDIA_TYPE)
