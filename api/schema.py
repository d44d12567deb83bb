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
    """Add the keys and the problems of the access checks, and correct the media type of problems: FastAPI writes that
    of the route's successful response."""
    document["components"]["securitySchemes"] = _SECURITY
    keys: list[dict[str, list[str]]] = [{name: []} for name in _SECURITY]
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            if path in open_paths:
                operation["security"] = []
            else:
                operation["security"] = keys if needs_key else [{}, *keys]
                refusals = [Problems.UNKNOWN_HOST, Problems.UNAUTHORIZED, Problems.QUEUE_UNAVAILABLE]
                refusals += [Problems.CROSS_SITE] if method != "get" else []
                refusals += [Problems.RATE_LIMITED] if method == "post" else []
                _add_problems(operation["responses"], refusals)
            operation["responses"] = dict(sorted(operation["responses"].items()))
            for response in operation["responses"].values():
                content = response.get("content", {})
                for other in content.keys() - {MEDIA_TYPE} if MEDIA_TYPE in content else ():
                    content[MEDIA_TYPE] |= content.pop(other)
    return document


def _add_problems(documented: dict[str, Any], kinds: list[ProblemType]) -> None:
    for status, response in responses(*kinds).items():
        del response["model"]  # a key of FastAPI, which has been read already
        content = documented.setdefault(str(status), response)["content"][MEDIA_TYPE]
        content.setdefault("schema", {"$ref": f"#/components/schemas/{ProblemBody.__name__}"})
        content["examples"] |= response["content"][MEDIA_TYPE]["examples"]
