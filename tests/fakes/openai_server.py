"""The wire format of OpenAI's chat completions, as Ollama, vLLM and llama.cpp serve it too."""

from typing import Any

from fakes.model_server import Cut, Gate, Hang, ModelServer, Pause, Received, Reply, Step, event, html_reply, json_reply

_DONE = b"data: [DONE]\n\n"


class OpenAiServer(ModelServer):
    """Its base URL is `<url>/v1`. With an empty key it takes any, like Ollama."""

    def check(self, received: Received) -> Reply | None:
        if received.path != "/v1/chat/completions":
            return error(404, "Not Found", code="not_found")
        if self.key and received.headers.get("authorization") != f"Bearer {self.key}":
            sent = received.headers.get("authorization", "").removeprefix("Bearer ")
            return error(401, f"Incorrect API key provided: {sent}.", code="invalid_api_key")
        return None


def chunk(text: str | None = None, *, finish: str | None = None) -> bytes:
    """One event of an answer."""
    choice = {"index": 0, "delta": {} if text is None else {"content": text}, "finish_reason": finish}
    return event(_completion([choice]))


def answer(*pieces: str | Step, finish: str = "stop", usage: bool = False) -> Reply:
    """A whole answer: role, each text one event, the finish reason, the end mark."""
    steps = (*_steps(pieces), chunk(finish=finish))
    return Reply((*steps, *([event(_completion([]))] if usage else []), _DONE))


def unfinished(*pieces: str | Step) -> Reply:
    """An answer that ends, or does whatever its last step says, without a finish reason or end mark."""
    return Reply(_steps(pieces))


def error(status: int, message: str, *, code: str = "error", headers: dict[str, str] | None = None) -> Reply:
    """An error as OpenAI words it."""
    return json_reply(status, _error_body(message, code), headers)


def fails_midway(*pieces: str) -> Reply:
    """The error comes as an event after some text."""
    return Reply((*_steps(pieces), event(_error_body("The model crashed.", "server_error"))))


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


def _steps(pieces: tuple[str | Step, ...]) -> tuple[Step, ...]:
    role = event(_completion([{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}]))
    steps = tuple(chunk(piece) if isinstance(piece, str) else piece for piece in pieces)
    # A reply that holds even its headers back must not begin with the role.
    return steps if steps and not isinstance(steps[0], bytes) else (role, *steps)


__all__ = ["Cut", "Gate", "Hang", "OpenAiServer", "Pause", "html_reply"]
