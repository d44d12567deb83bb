"""Additions to the OpenAPI document that FastAPI generates: security, and the problems of the access checks."""

from typing import Any

from api.problems.body import MEDIA_TYPE, ProblemBody, responses
from api.problems.catalogue import Problems
from api.problems.problem import ProblemType

_SECURITY = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "One of API_KEYS."},
    "header": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "One of API_KEYS."},
    "basic": {"type": "http", "scheme": "basic", "description": "Any name, and one of API_KEYS as the password."},
}


def complete_document(document: dict[str, Any], open_paths: set[str], *, needs_key: bool) -> dict[str, Any]:
    """Add the security schemes and the problems of the access checks, and correct the media type of problems."""
    document["components"]["securitySchemes"] = _SECURITY
    keys: list[dict[str, list[str]]] = [{name: []} for name in _SECURITY]
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            if path in open_paths:
                operation["security"] = []
            else:
                operation["security"] = keys if needs_key else [{}, *keys]
                _add_problems(operation["responses"], _access_problems(method))
            operation["responses"] = dict(sorted(operation["responses"].items()))
            for response in operation["responses"].values():
                _correct_media_type(response.get("content", {}))
    return document


def _access_problems(method: str) -> list[ProblemType]:
    """The problems with which the access checks refuse a request."""
    kinds = [Problems.UNKNOWN_HOST, Problems.UNAUTHORIZED, Problems.QUEUE_UNAVAILABLE]
    if method != "get":
        kinds.append(Problems.CROSS_SITE)
    if method == "post":
        kinds.append(Problems.RATE_LIMITED)
    return kinds


def _correct_media_type(content: dict[str, Any]) -> None:
    """Describe a problem under its own media type alone: FastAPI adds the one of the route's successful response."""
    if MEDIA_TYPE in content:
        for other in content.keys() - {MEDIA_TYPE}:
            content[MEDIA_TYPE] |= content.pop(other)


def _add_problems(documented: dict[str, Any], kinds: list[ProblemType]) -> None:
    for status, response in responses(*kinds).items():
        del response["model"]  # a key of FastAPI, which has been read already
        content = documented.setdefault(str(status), response)["content"][MEDIA_TYPE]
        content.setdefault("schema", {"$ref": f"#/components/schemas/{ProblemBody.__name__}"})
        content["examples"] |= response["content"][MEDIA_TYPE]["examples"]
