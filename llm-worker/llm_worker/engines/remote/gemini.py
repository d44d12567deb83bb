"""Google's Gemini, streamed through the google-genai client."""

import re
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any, cast

import httpx2
from google import genai
from google.genai import errors, types
from pydantic import ValidationError

from llm_worker.engine import Prompt
from llm_worker.engines.remote.error_mapping import read_retry_after, status_error, transport_error
from llm_worker.engines.remote.http_client import http_client, read_key, read_url
from llm_worker.engines.remote.stream_guard import Ending, guard_stream
from llm_worker.settings import LlmSettings
from shared.errors import LanguageModelError, StartupError
from shared.retry_after import parse_seconds

#: The least thinking that each model family allows, first match wins. Thinking is on by default and costs seconds
#: before the first word. A level that a model does not know is an error 400, so none is set for an unknown model. From
#: 3.7 on, flash (not flash-lite) refuses "minimal".
_THINKING: tuple[tuple[str, types.ThinkingConfig], ...] = (
    (r"gemini-2\.5-flash", types.ThinkingConfig(thinking_budget=0)),
    (r"gemini-2\.5-pro", types.ThinkingConfig(thinking_budget=128)),
    (r"gemini-3(\.\d+)?-flash-lite", types.ThinkingConfig(thinking_level=types.ThinkingLevel.MINIMAL)),
    (r"gemini-3(\.[0-6])?-flash", types.ThinkingConfig(thinking_level=types.ThinkingLevel.MINIMAL)),
    (r"gemini-(3\.\d+-flash|flash-latest)", types.ThinkingConfig(thinking_level=types.ThinkingLevel.LOW)),
    (r"gemini-3(\.\d+)?-pro", types.ThinkingConfig(thinking_level=types.ThinkingLevel.LOW)),
)

#: The meaning of each finish reason; any other one, such as `SAFETY`, blocks the reply.
_ENDINGS = {"": Ending.CUT_OFF, "STOP": Ending.WHOLE, "MAX_TOKENS": Ending.LIMIT_REACHED}


class GeminiEngine:
    """One client, kept open for all replies."""

    name = "gemini"

    def __init__(self, settings: LlmSettings) -> None:
        self.model = settings.gemini_model
        self._key = read_key(settings.gemini_api_key, "GEMINI_API_KEY")
        if not self._key:
            raise StartupError("The gemini engine needs a key. Set GEMINI_API_KEY, or LLM_ENGINE to another engine.")
        self._settings = settings
        base_url = read_url(settings.gemini_base_url, "GEMINI_BASE_URL")
        self._http = http_client()
        self._client = genai.Client(
            api_key=self._key,
            # Explicit, as a variable for Google's cloud would otherwise turn the key into a cloud login.
            vertexai=False,
            # No retry_options: the library then never retries, and the queue alone decides.
            http_options=types.HttpOptions(base_url=base_url or None, httpx_async_client=self._http),
        )

    def answer(self, prompt: Prompt) -> AsyncGenerator[str, None]:
        """Yield the reply's text as it arrives; see `LlmEngine.answer`."""
        return guard_stream(self._stream(prompt), engine=self.name, read=_read_chunk, ending=_ending)

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()
        self._client.close()

    @asynccontextmanager
    async def _stream(self, prompt: Prompt) -> AsyncIterator[AsyncIterator[types.GenerateContentResponse]]:
        """Open the stream of one reply; the library's exceptions become the product's errors."""
        try:
            stream = await self._client.aio.models.generate_content_stream(
                model=self.model, contents=_contents(prompt), config=self._config(prompt)
            )
            async with aclosing(cast(AsyncGenerator[types.GenerateContentResponse, None], stream)) as chunks:
                yield chunks
        except errors.APIError as error:
            raise self._status_error(error) from None
        except (httpx2.HTTPError, httpx2.StreamError, errors.UnknownApiResponseError, ValidationError) as error:
            raise transport_error(error, engine=self.name) from None

    def _config(self, prompt: Prompt) -> types.GenerateContentConfig:
        return types.GenerateContentConfig(
            system_instruction=prompt.instructions or None,
            temperature=self._settings.llm_temperature,
            max_output_tokens=self._settings.llm_max_tokens,
            thinking_config=least_thinking(self.model),
            # No functions are sent; left on, the library logs a line about them for every reply.
            automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
        )

    def _status_error(self, error: errors.APIError) -> LanguageModelError:
        delay_s = _retry_info_s(error.details)
        if delay_s is None:
            delay_s = read_retry_after(getattr(error.response, "headers", None) or {})
        status = error.code if isinstance(error.code, int) else None
        return status_error(status, engine=self.name, detail=str(error.message), key=self._key, retry_after_s=delay_s)


def load(settings: LlmSettings) -> GeminiEngine:
    """Build the engine named `gemini`.

    Raises:
        StartupError: GEMINI_API_KEY is missing or malformed, or GEMINI_BASE_URL is invalid.
    """
    return GeminiEngine(settings)


def least_thinking(model: str) -> types.ThinkingConfig | None:
    """The configuration with the least thinking that `model` accepts; None for an unknown model."""
    name = model.removeprefix("models/")
    return next((config for pattern, config in _THINKING if re.match(pattern, name)), None)


def _ending(finish_reason: str) -> Ending:
    return _ENDINGS.get(finish_reason, Ending.BLOCKED)


def _contents(prompt: Prompt) -> list[types.Content]:
    messages: list[tuple[str, str]] = []
    for turn in prompt.history:
        # The API refuses an empty part, and a question without its answer would make two user messages in a row.
        if turn.user and turn.assistant:
            messages += [("user", turn.user), ("model", turn.assistant)]
    messages.append(("user", prompt.text))
    return [types.Content(role=role, parts=[types.Part(text=text)]) for role, text in messages]


def _read_chunk(chunk: types.GenerateContentResponse) -> tuple[str, str]:
    """The text of a chunk without the model's thoughts, and its finish reason, each empty if absent."""
    if chunk.prompt_feedback and chunk.prompt_feedback.block_reason:
        return "", f"prompt: {chunk.prompt_feedback.block_reason.value}"
    if not chunk.candidates:
        return "", ""
    candidate = chunk.candidates[0]
    finish_reason = candidate.finish_reason.value if candidate.finish_reason else ""
    parts = (candidate.content.parts if candidate.content else None) or []
    return "".join(part.text for part in parts if part.text and not part.thought), finish_reason


def _retry_info_s(details: Any) -> float | None:
    """The delay in Google's `RetryInfo`, which is more exact than the header; None without one."""
    body = details.get("error") if isinstance(details, dict) else None
    entries = body.get("details") if isinstance(body, dict) else None
    for entry in entries if isinstance(entries, list) else []:
        if isinstance(entry, dict) and str(entry.get("@type", "")).endswith("RetryInfo"):
            return parse_seconds(str(entry.get("retryDelay")))
    return None
