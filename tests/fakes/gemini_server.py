"""A fake of the Gemini API, in the wire format that google-genai 3 uses."""

import re
from collections.abc import Iterable
from typing import Any

from fakes.model_server import Cut, Gate, Hang, ModelServer, Pause, Received, Reply, Step, event, html_reply, json_reply

_PATH = re.compile(r"/v1(beta)?/models/[^/:]+:streamGenerateContent\?alt=sse")


class GeminiServer(ModelServer):
    """Serves v1 and v1beta; rejects a wrong key or path as Google does."""

    def check(self, received: Received) -> Reply | None:
        if not _PATH.fullmatch(received.path):
            return error(404, "NOT_FOUND", "The requested model was not found.")
        if received.headers.get("x-goog-api-key") != self.key:
            reason = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}
            return error(400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key.", reason)
        return None


def chunk(text: str | None = None, *, finish: str | None = None, thought: bool = False) -> bytes:
    """One event of a reply."""
    candidate: dict[str, Any] = {"index": 0}
    if text is not None:
        candidate["content"] = {"role": "model", "parts": [{"text": text} | ({"thought": True} if thought else {})]}
    if finish:
        candidate["finishReason"] = finish
    usage = {"promptTokenCount": 9, "candidatesTokenCount": 3, "totalTokenCount": 12}
    return event({"candidates": [candidate], "usageMetadata": usage, "modelVersion": "fake", "responseId": "r1"})


def answer(*steps: str | Step, finish: str = "STOP") -> Reply:
    """A whole reply: each text is one event, the last with the finish reason; other steps happen in between."""
    *earlier, last = steps
    assert isinstance(last, str)
    return Reply((*_steps(earlier), chunk(last, finish=finish)))


def unfinished(*steps: str | Step) -> Reply:
    """A reply without a finish reason: it ends with its last step, which may hang or close the connection."""
    return Reply(_steps(steps))


def thoughts_only() -> Reply:
    """A reply whose model used all its tokens for thinking."""
    return Reply((chunk("Let me see.", thought=True), chunk(finish="MAX_TOKENS")))


def thoughtful(*texts: str) -> Reply:
    """A reply with the model's thoughts before it."""
    return Reply((chunk("Let me see.", thought=True), *answer(*texts).steps))


def withheld(*texts: str, finish: str = "SAFETY") -> Reply:
    """A reply that Google stops half-way: the last event has a finish reason and no text."""
    return Reply((*_steps(texts), chunk(finish=finish)))


def empty() -> Reply:
    """A finished reply without text."""
    return Reply((chunk(finish="STOP"),))


def blocked_prompt() -> Reply:
    """A reply to a prompt that Google blocks."""
    return Reply((event({"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, "modelVersion": "fake"}),))


def error(status: int, name: str, message: str, *details: object, headers: dict[str, str] | None = None) -> Reply:
    """An error in Google's format."""
    return json_reply(status, _error_body(status, name, message, *details), headers)


def rate_limited(*, retry_info: str | None = None, retry_after: str | None = None) -> Reply:
    """A 429 with the delay in the body, in the header, in both or in neither."""
    info = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": retry_info}
    headers = {"retry-after": retry_after} if retry_after else None
    details = [info] if retry_info else []
    return error(429, "RESOURCE_EXHAUSTED", "You exceeded your current quota.", *details, headers=headers)


def fails_midway(*texts: str, status: int = 503) -> Reply:
    """A reply with an error event after some text."""
    return Reply((*_steps(texts), event(_error_body(status, "UNAVAILABLE", "The model is overloaded."))))


def _error_body(status: int, name: str, message: str, *details: object) -> dict[str, Any]:
    return {"error": {"code": status, "message": message, "status": name, "details": list(details)}}


def _steps(steps: Iterable[str | Step]) -> tuple[Step, ...]:
    return tuple(chunk(step) if isinstance(step, str) else step for step in steps)


__all__ = ["Cut", "Gate", "GeminiServer", "Hang", "Pause", "html_reply"]
