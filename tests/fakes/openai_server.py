"""A fake of OpenAI's chat completions, whose wire format Ollama, vLLM and llama.cpp serve too."""

from typing import Any

from fakes.model_server import Cut, Gate, Hang, ModelServer, Pause, Received, Reply, Step, event, html_reply, json_reply

_DONE = b"data: [DONE]\n\n"


class OpenAiServer(ModelServer):
    """Its base URL is `<url>/v1`. Without a key of its own it accepts any, like Ollama."""

    def check(self, received: Received) -> Reply | None:
        if received.path != "/v1/chat/completions":
            return error(404, "Not Found", code="not_found")
        if self.key and received.headers.get("authorization") != f"Bearer {self.key}":
            sent = received.headers.get("authorization", "").removeprefix("Bearer ")
            return error(401, f"Incorrect API key provided: {sent}.", code="invalid_api_key")
        return None


def chunk(text: str | None = None, *, finish: str | None = None) -> bytes:
    """One event of a reply."""
    choice = {"index": 0, "delta": {} if text is None else {"content": text}, "finish_reason": finish}
    return event(_completion([choice]))


def answer(*steps: str | Step, finish: str = "stop", usage: bool = False) -> Reply:
    """A whole reply: the role, each text as one event, the finish reason, the usage on request, and the end mark."""
    usage_events = [event(_completion([]))] if usage else []
    return Reply((*_steps(steps), chunk(finish=finish), *usage_events, _DONE))


def unfinished(*steps: str | Step) -> Reply:
    """A reply without finish reason and end mark: it ends with its last step, which may hang or close the
    connection."""
    return Reply(_steps(steps))


def error(status: int, message: str, *, code: str = "error", headers: dict[str, str] | None = None) -> Reply:
    """An error in OpenAI's format."""
    return json_reply(status, _error_body(message, code), headers)


def fails_midway(*texts: str) -> Reply:
    """A reply with an error event after some text."""
    return Reply((*_steps(texts), event(_error_body("The model crashed.", "server_error"))))


def _error_body(message: str, code: str) -> dict[str, Any]:
    return {"error": {"message": message, "type": "fake_error", "param": None, "code": code}}


def _completion(choices: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "fake",
        "choices": choices,
        "usage": None if choices else {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12},
    }


def _steps(steps: tuple[str | Step, ...]) -> tuple[Step, ...]:
    role = event(_completion([{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}]))
    events = tuple(chunk(step) if isinstance(step, str) else step for step in steps)
    # A reply that delays even its headers must not begin with the role.
    return events if events and not isinstance(events[0], bytes) else (role, *events)


__all__ = ["Cut", "Gate", "Hang", "OpenAiServer", "Pause", "html_reply"]
