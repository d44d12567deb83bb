"""What FastAPI does not write into an OpenAPI document by itself."""

from typing import Any

from api.problems.render import MEDIA_TYPE, ProblemBody, responses

_SECURITY = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "One of API_KEYS."},
    "header": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "One of API_KEYS."},
    "basic": {"type": "http", "scheme": "basic", "description": "Any name, and one of API_KEYS as the password."},
}

_UNKNOWN_HOST = (421, "unknown_host", "The service does not answer to that name. API_HOSTS may add it.")
_UNAUTHORIZED = (401, "unauthorized", "Send a key, as `Authorization: Bearer`, as `X-API-Key`, or as a password.")
_CROSS_SITE = (403, "cross_site", "A page of another site may not do this. CORS_ORIGINS may allow it.")
_RATE_LIMITED = (429, "rate_limited", "No more than 120 per 1 minute are allowed. Try again in 20 s.")
_NO_QUEUE = (503, "queue_unavailable", "The job queue cannot be reached at the moment. Try again later.")


def complete(document: dict[str, Any], open_paths: set[str], *, needs_key: bool) -> dict[str, Any]:
    """Add what the gate demands and answers, and the media type of problems, for which FastAPI writes that of the
    route's good answer."""
    document["components"]["securitySchemes"] = _SECURITY
    keys: list[dict[str, list[str]]] = [{name: []} for name in _SECURITY]
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            if path in open_paths:
                operation["security"] = []
            else:
                operation["security"] = keys if needs_key else [{}, *keys]
                gate = [_UNKNOWN_HOST, _UNAUTHORIZED, _NO_QUEUE]
                gate += [_CROSS_SITE] if method != "get" else []
                gate += [_RATE_LIMITED] if method == "post" else []
                _add(operation["responses"], gate)
            operation["responses"] = dict(sorted(operation["responses"].items()))
            for response in operation["responses"].values():
                content = response.get("content", {})
                for other in content.keys() - {MEDIA_TYPE} if MEDIA_TYPE in content else ():
                    content[MEDIA_TYPE] |= content.pop(other)
    return document


def _add(there: dict[str, Any], problems: list[tuple[int, str, str]]) -> None:
    for status, response in responses(*problems).items():
        del response["model"]  # FastAPI's word, which it has read already
        content = there.setdefault(str(status), response)["content"][MEDIA_TYPE]
        content.setdefault("schema", {"$ref": f"#/components/schemas/{ProblemBody.__name__}"})
        content["examples"] |= response["content"][MEDIA_TYPE]["examples"]
