"""The body of a problem's response, and its entries in the OpenAPI document."""

from http import HTTPStatus
from typing import Any

from pydantic import BaseModel, Field

from api.problems.problem import Problem, ProblemType

MEDIA_TYPE = "application/problem+json"


class ProblemBody(BaseModel):
    """An error (RFC 9457)."""

    type: str = Field(default="about:blank", description="Always about:blank: `code` distinguishes errors.")
    title: str = Field(description="The HTTP status in words.")
    status: int = Field(description="The HTTP status.")
    detail: str = Field(description="The fault and its remedy, in a sentence or two.")
    code: str = Field(description="A stable identifier for programs.")


#: The OpenAPI entry for the problems that a route does not list.
OTHER_PROBLEMS: dict[int | str, dict[str, Any]] = {
    "default": {"description": "Any other error", "model": ProblemBody, "content": {MEDIA_TYPE: {}}}
}


def problem_body(problem: Problem) -> dict[str, Any]:
    """The body of a problem's response, as a JSON object."""
    title = HTTPStatus(problem.status).phrase
    return ProblemBody(title=title, status=problem.status, detail=problem.detail, code=problem.code).model_dump()


def responses(*kinds: ProblemType) -> dict[int | str, dict[str, Any]]:
    """The OpenAPI entries for the problems of a route, by status, with an example of each."""
    documented: dict[int | str, dict[str, Any]] = {}
    for kind in kinds:
        content: dict[str, Any] = {MEDIA_TYPE: {"examples": {}}}
        entry = {"description": HTTPStatus(kind.status).phrase, "model": ProblemBody, "content": content}
        examples = documented.setdefault(kind.status, entry)["content"][MEDIA_TYPE]["examples"]
        examples[kind.code] = {"value": problem_body(Problem(kind, **kind.example))}
    return documented
