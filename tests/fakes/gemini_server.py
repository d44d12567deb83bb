"""The Gemini API's wire format, as google-genai 3 meets it."""

import re
from typing import Any

from fakes.model_server import Cut, Gate, Hang, ModelServer, Pause, Received, Reply, Step, event, html_reply, json_reply

_PATH = re.compile(r"/v1(beta)?/models/[^/:]+:streamGenerateContent\?alt=sse")


class GeminiServer(ModelServer):
    """Takes v1 and v1beta; answers a wrong key or path as Google does."""

    def check(self, received: Received) -> Reply | None:
        if not _PATH.fullmatch(received.path):
            return error(404, "NOT_FOUND", "The requested model was not found.")
        if received.headers.get("x-goog-api-key") != self.key:
            reason = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}
            return error(400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key.", reason)
        return None


def chunk(text: str | None = None, *, finish: str | None = None, thought: bool = False) -> bytes:
    """One event of an answer."""
    candidate: dict[str, Any] = {"index": 0}
    if text is not None:
        candidate["content"] = {"role": "model", "parts": [{"text": text} | ({"thought": True} if thought else {})]}
    if finish:
        candidate["finishReason"] = finish
    usage = {"promptTokenCount": 9, "candidatesTokenCount": 3, "totalTokenCount": 12}
    return event({"candidates": [candidate], "usageMetadata": usage, "modelVersion": "fake", "responseId": "r1"})


def answer(*pieces: str | Step, finish: str = "STOP") -> Reply:
    """A whole answer: each text one event, the last with the finish reason; other steps go in between."""
    *earlier, last = pieces
    assert isinstance(last, str)
    return Reply((*_steps(earlier), chunk(last, finish=finish)))


def unfinished(*pieces: str | Step) -> Reply:
    """An answer that ends, or does whatever its last step says, without ever giving a finish reason."""
    return Reply(_steps(pieces))


def thoughts_only() -> Reply:
    """The model used its whole allowance up for thinking."""
    return Reply((chunk("Let me see.", thought=True), chunk(finish="MAX_TOKENS")))


def thoughtful(*pieces: str) -> Reply:
    """An answer with its thoughts before it."""
    return Reply((chunk("Let me see.", thought=True), *answer(*pieces).steps))


def withheld(*pieces: str, finish: str = "SAFETY") -> Reply:
    """An answer that Google stops half-way: the last event has a reason and no text."""
    return Reply((*_steps(pieces), chunk(finish=finish)))


def empty() -> Reply:
    """A finished answer without text."""
    return Reply((chunk(finish="STOP"),))


def blocked_prompt() -> Reply:
    """Google did not even start."""
    return Reply((event({"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, "modelVersion": "fake"}),))


def error(status: int, name: str, message: str, *details: object, headers: dict[str, str] | None = None) -> Reply:
    """An error as Google words it."""
    return json_reply(status, _error_body(status, name, message, *details), headers)


def rate_limited(*, retry_info: str | None = None, retry_after: str | None = None) -> Reply:
    """Too many requests, with the delay in the body, in the header, or in neither."""
    info = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": retry_info}
    headers = {"retry-after": retry_after} if retry_after else None
    details = [info] if retry_info else []
    return error(429, "RESOURCE_EXHAUSTED", "You exceeded your current quota.", *details, headers=headers)


def fails_midway(*pieces: str, status: int = 503) -> Reply:
    """The error comes as an event after some text."""
    return Reply((*_steps(pieces), event(_error_body(status, "UNAVAILABLE", "The model is overloaded."))))


def _error_body(status: int, name: str, message: str, *details: object) -> dict[str, Any]:
    return {"error": {"code": status, "message": message, "status": name, "details": list(details)}}


def _steps(pieces: tuple[str | Step, ...] | list[str | Step]) -> tuple[Step, ...]:
    return tuple(chunk(piece) if isinstance(piece, str) else piece for piece in pieces)


__all__ = ["Cut", "Gate", "GeminiServer", "Hang", "Pause", "html_reply"]
