"""Any server that implements OpenAI's chat completions: Ollama, llama.cpp, vLLM, OpenAI itself."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
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
from llm_worker.engines.remote.error_mapping import read_retry_after, status_error, transport_error
from llm_worker.engines.remote.http_client import http_client, read_key, read_url
from llm_worker.engines.remote.stream_guard import Ending, guard_stream
from llm_worker.settings import LlmSettings
from shared.errors import StartupError

#: Servers such as Ollama need no key, but the library does not start without one.
_PLACEHOLDER_KEY = "none"

#: The meaning of each finish reason; any other one, such as vLLM's `abort`, is a reply that was not finished.
_ENDINGS = {"stop": Ending.WHOLE, "length": Ending.LIMIT_REACHED, "content_filter": Ending.BLOCKED}


class OpenAiEngine:
    """One client, kept open for all replies."""

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
            api_key=self._key or _PLACEHOLDER_KEY,
            max_retries=0,  # the queue retries
            timeout=None,  # `timeouts.py` limits every engine alike
            http_client=http_client(),
        )

    def answer(self, prompt: Prompt) -> AsyncGenerator[str, None]:
        """Yield the reply's text as it arrives; see `LlmEngine.answer`."""
        return guard_stream(self._stream(prompt), engine=self.name, read=_read_chunk, ending=_ending)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    @asynccontextmanager
    async def _stream(self, prompt: Prompt) -> AsyncIterator[AsyncIterator[ChatCompletionChunk]]:
        """Open the stream of one reply; the library's exceptions become the product's errors."""
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
                yield stream
        except openai.APIStatusError as error:
            raise status_error(
                error.status_code,
                engine=self.name,
                detail=error.message,
                key=self._key,
                retry_after_s=read_retry_after(error.response.headers),
            ) from None
        except openai.APIConnectionError as error:
            raise transport_error(error, engine=self.name) from None
        except openai.APIError as error:  # the server reports a failure in the middle of the stream
            raise status_error(None, engine=self.name, detail=error.message, key=self._key) from None
        except (httpx2.HTTPError, httpx2.StreamError, JSONDecodeError) as error:
            raise transport_error(error, engine=self.name) from None


def load(settings: LlmSettings) -> OpenAiEngine:
    """Build the engine named `openai`.

    Raises:
        StartupError: OPENAI_BASE_URL is missing or invalid, or OPENAI_API_KEY is malformed.
    """
    return OpenAiEngine(settings)


def _ending(finish_reason: str) -> Ending:
    return _ENDINGS.get(finish_reason, Ending.CUT_OFF)


def _messages(prompt: Prompt) -> list[ChatCompletionMessageParam]:
    messages: list[ChatCompletionMessageParam] = []
    if prompt.instructions:
        messages.append(ChatCompletionSystemMessageParam(role="system", content=prompt.instructions))
    for turn in prompt.history:
        if turn.user and turn.assistant:  # a question without its answer would make two user messages in a row
            messages.append(ChatCompletionUserMessageParam(role="user", content=turn.user))
            messages.append(ChatCompletionAssistantMessageParam(role="assistant", content=turn.assistant))
    messages.append(ChatCompletionUserMessageParam(role="user", content=prompt.text))
    return messages


def _read_chunk(chunk: ChatCompletionChunk) -> tuple[str, str]:
    """The text and the finish reason of a chunk, each empty if absent."""
    if not chunk.choices:  # the last chunk of some servers only counts tokens
        return "", ""
    choice = chunk.choices[0]
    text = choice.delta.content if choice.delta else None
    return text or "", choice.finish_reason or ""
