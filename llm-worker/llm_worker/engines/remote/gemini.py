"""Google's Gemini, streamed through the google-genai client."""

import re
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, cast

import httpx2
from google import genai
from google.genai import errors, types
from pydantic import ValidationError

from llm_worker.engine import Prompt
from llm_worker.engines.remote import error_mapping as faults
from llm_worker.engines.remote.http_client import http_client, read_key, read_url
from llm_worker.settings import LlmSettings
from shared.errors import LanguageModelError, StartupError

# The least thinking that each family allows, first match wins. Thinking is on by default and costs seconds before the
# first word. A level that a model does not know is an error 400, so an unknown model gets none set. From 3.7 on, flash
# (not flash-lite) refuses "minimal".
_THINKING: tuple[tuple[str, types.ThinkingConfig], ...] = (
    (r"gemini-2\.5-flash", types.ThinkingConfig(thinking_budget=0)),
    (r"gemini-2\.5-pro", types.ThinkingConfig(thinking_budget=128)),
    (r"gemini-3(\.\d+)?-flash-lite", types.ThinkingConfig(thinking_level=types.ThinkingLevel.MINIMAL)),
    (r"gemini-3(\.[0-6])?-flash", types.ThinkingConfig(thinking_level=types.ThinkingLevel.MINIMAL)),
    (r"gemini-(3\.\d+-flash|flash-latest)", types.ThinkingConfig(thinking_level=types.ThinkingLevel.LOW)),
    (r"gemini-3(\.\d+)?-pro", types.ThinkingConfig(thinking_level=types.ThinkingLevel.LOW)),
)

_LIMIT_REACHED = "MAX_TOKENS"
_WHOLE = frozenset({"STOP", _LIMIT_REACHED})


def load(settings: LlmSettings) -> "Gemini":
    """The engine named `gemini`.

    Raises:
        StartupError: GEMINI_API_KEY is missing or malformed, or GEMINI_BASE_URL is no address.
    """
    return Gemini(settings)


def least_thinking(model: str) -> types.ThinkingConfig | None:
    """How to keep this model from thinking before it speaks, as far as it lets us."""
    name = model.removeprefix("models/")
    return next((config for pattern, config in _THINKING if re.match(pattern, name)), None)


class Gemini:
    """One kept client for all answers."""

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
            # Said outright, as a variable for Google's cloud would otherwise turn the key into a cloud login.
            vertexai=False,
            # No retry_options: the library then never retries, and the queue alone decides.
            http_options=types.HttpOptions(base_url=base_url or None, httpx_async_client=self._http),
        )

    async def answer(self, prompt: Prompt) -> AsyncGenerator[str, None]:
        """Yield the answer's text as it arrives; see `LlmEngine.answer`."""
        finish, spoken = "", False
        try:
            stream = await self._client.aio.models.generate_content_stream(
                model=self.model, contents=_contents(prompt), config=self._config(prompt)
            )
            async with aclosing(cast(AsyncGenerator[types.GenerateContentResponse, None], stream)) as chunks:
                async for chunk in chunks:
                    text, reason = _read(chunk)
                    finish = reason or finish
                    if text:
                        spoken = spoken or not text.isspace()
                        yield text
        except errors.APIError as error:
            raise self._api_fault(error) from None
        except (httpx2.HTTPError, httpx2.StreamError, errors.UnknownApiResponseError, ValidationError) as error:
            raise faults.transport_fault(error, engine=self.name) from None
        # The library ends all of these streams without an exception.
        if not finish:
            raise faults.cut_off(self.name)
        if finish not in _WHOLE:
            raise faults.blocked(self.name, finish)
        if not spoken:
            raise faults.empty(self.name, limit_reached=finish == _LIMIT_REACHED)

    async def close(self) -> None:
        """Give the connections back."""
        await self._http.aclose()
        self._client.close()

    def _config(self, prompt: Prompt) -> types.GenerateContentConfig:
        return types.GenerateContentConfig(
            system_instruction=prompt.instructions or None,
            temperature=self._settings.llm_temperature,
            max_output_tokens=self._settings.llm_max_tokens,
            thinking_config=least_thinking(self.model),
            # We bring no functions; left on, the library logs a line about them for every answer.
            automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
        )

    def _api_fault(self, error: errors.APIError) -> LanguageModelError:
        delay = _retry_delay(error.details)
        if delay is None:
            delay = faults.read_retry_after(getattr(error.response, "headers", None) or {})
        code = error.code if isinstance(error.code, int) else None
        said = str(error.message)
        return faults.status_fault(code, engine=self.name, detail=said, key=self._key, retry_after_s=delay)


def _contents(prompt: Prompt) -> list[types.Content]:
    turns: list[tuple[str, str]] = []
    for turn in prompt.history:
        # The API refuses an empty part, and a question without its answer would make two user turns in a row.
        if turn.user and turn.assistant:
            turns += [("user", turn.user), ("model", turn.assistant)]
    turns.append(("user", prompt.text))
    return [types.Content(role=role, parts=[types.Part(text=text)]) for role, text in turns]


def _read(chunk: types.GenerateContentResponse) -> tuple[str, str]:
    """The words in this chunk, without thoughts, and why the answer ends here, if it does."""
    if chunk.prompt_feedback and chunk.prompt_feedback.block_reason:
        return "", f"prompt: {chunk.prompt_feedback.block_reason.value}"
    if not chunk.candidates:
        return "", ""
    candidate = chunk.candidates[0]
    finish = candidate.finish_reason.value if candidate.finish_reason else ""
    parts = (candidate.content.parts if candidate.content else None) or []
    return "".join(part.text for part in parts if part.text and not part.thought), finish


def _retry_delay(details: Any) -> float | None:
    """Google's `RetryInfo`, which asks for a delay more exactly than the header does."""
    body = details.get("error") if isinstance(details, dict) else None
    entries = body.get("details") if isinstance(body, dict) else None
    for entry in entries if isinstance(entries, list) else []:
        if isinstance(entry, dict) and str(entry.get("@type", "")).endswith("RetryInfo"):
            return faults.read_seconds(entry.get("retryDelay"))
    return None
