"""Any server that speaks OpenAI's chat completions: Ollama, llama.cpp, vLLM, OpenAI itself."""

from collections.abc import AsyncGenerator
from json import JSONDecodeError
from urllib.parse import urlsplit

import httpx2
import openai
from openai.types.chat import (
    ChatCompletionAssistantMessageParam,
    ChatCompletionChunk,
    ChatCompletionMessageParam,
    ChatCompletionSystemMessageParam,
    ChatCompletionUserMessageParam,
)

from llm_worker.engine import Prompt
from llm_worker.engines.remote import error_mapping as faults
from llm_worker.engines.remote.http_client import http_client, read_key, read_url
from llm_worker.settings import LlmSettings
from shared.errors import StartupError

# Servers such as Ollama want no key, but the library does not start without one.
_NO_KEY = "none"


def load(settings: LlmSettings) -> "OpenAiCompatible":
    """The engine named `openai`.

    Raises:
        StartupError: OPENAI_BASE_URL is missing or no address, or OPENAI_API_KEY is malformed.
    """
    return OpenAiCompatible(settings)


class OpenAiCompatible:
    """One kept client for all answers."""

    name = "openai"

    def __init__(self, settings: LlmSettings) -> None:
        self.model = settings.openai_model
        base_url = read_url(settings.openai_base_url, "OPENAI_BASE_URL")
        if not base_url:
            raise StartupError(
                "The openai engine needs a server. Set OPENAI_BASE_URL, for example to http://localhost:11434/v1, "
                "or LLM_ENGINE to another engine."
            )
        self._key = read_key(settings.openai_api_key, "OPENAI_API_KEY")
        self._max_tokens = settings.llm_max_tokens
        self._temperature = settings.llm_temperature
        # OpenAI's own newer models refuse the old name of the limit; many compatible servers know only the old one.
        self._is_openai = urlsplit(base_url).hostname == "api.openai.com"
        self._client = openai.AsyncOpenAI(
            base_url=base_url,
            api_key=self._key or _NO_KEY,
            max_retries=0,  # the queue retries
            timeout=None,  # `deadline.py` keeps the time
            http_client=http_client(),
        )

    async def answer(self, prompt: Prompt) -> AsyncGenerator[str, None]:
        """Yield the answer's text as it arrives; see `LlmEngine.answer`."""
        finish, spoken = "", False
        try:
            stream = await self._client.chat.completions.create(
                model=self.model,
                messages=_messages(prompt),
                stream=True,
                temperature=openai.omit if self._temperature is None else self._temperature,
                max_tokens=openai.omit if self._is_openai else self._max_tokens,
                max_completion_tokens=self._max_tokens if self._is_openai else openai.omit,
            )
            async with stream:
                async for chunk in stream:
                    text, reason = _read(chunk)
                    finish = reason or finish
                    if text:
                        spoken = spoken or not text.isspace()
                        yield text
        except openai.APIStatusError as error:
            raise faults.status_fault(
                error.status_code,
                engine=self.name,
                detail=error.message,
                key=self._key,
                retry_after_s=faults.read_retry_after(error.response.headers),
            ) from None
        except openai.APIConnectionError as error:
            raise faults.transport_fault(error, engine=self.name) from None
        except openai.APIError as error:  # the server reports a failure in the middle of its answer
            raise faults.status_fault(None, engine=self.name, detail=error.message, key=self._key) from None
        except (httpx2.HTTPError, httpx2.StreamError, JSONDecodeError) as error:
            raise faults.transport_fault(error, engine=self.name) from None
        # Anything else, such as vLLM's "abort", is an answer that was not finished.
        if finish not in ("stop", "length", "content_filter"):
            raise faults.cut_off(self.name)
        if finish == "content_filter":
            raise faults.blocked(self.name, finish)
        if not spoken:
            raise faults.empty(self.name, limit_reached=finish == "length")

    async def close(self) -> None:
        """Give the connections back."""
        await self._client.close()


def _messages(prompt: Prompt) -> list[ChatCompletionMessageParam]:
    messages: list[ChatCompletionMessageParam] = []
    if prompt.instructions:
        messages.append(ChatCompletionSystemMessageParam(role="system", content=prompt.instructions))
    for turn in prompt.history:
        if turn.user and turn.assistant:  # a question without its answer would make two user turns in a row
            messages.append(ChatCompletionUserMessageParam(role="user", content=turn.user))
            messages.append(ChatCompletionAssistantMessageParam(role="assistant", content=turn.assistant))
    messages.append(ChatCompletionUserMessageParam(role="user", content=prompt.text))
    return messages


def _read(chunk: ChatCompletionChunk) -> tuple[str, str]:
    """The words in this chunk, and why the answer ends here, if it does."""
    if not chunk.choices:  # the last chunk of some servers only counts tokens
        return "", ""
    choice = chunk.choices[0]
    return (choice.delta.content if choice.delta else None) or "", choice.finish_reason or ""
