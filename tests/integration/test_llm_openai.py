"""The OpenAI engine's own behaviour: the real openai client against a local server with its wire format."""

import asyncio
import logging
import traceback
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from structlog.testing import capture_logs

from fakes import openai_server as openai
from fakes.llm_settings import llm_settings
from fakes.openai_server import Hang, OpenAiServer
from llm_worker.engine import HistoryTurn, Prompt
from llm_worker.engines.remote.openai import OpenAiEngine, load
from shared.errors import ModelRefused, ModelUnavailable
from support.llm_replies import PROMPT, read_reply

KEY = "sk-test-c2VjcmV0"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[OpenAiServer]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with OpenAiServer(KEY) as server:
        yield server


@pytest.fixture
async def engine(server: OpenAiServer) -> AsyncIterator[OpenAiEngine]:
    engine = load(llm_settings(openai_api_key=KEY, openai_base_url=f"{server.url}/v1", openai_model="tiny"))
    yield engine
    await engine.close()


async def test_request_contains_prompt_and_settings(server: OpenAiServer) -> None:
    """A request contains the model, the prompt with its history, the token limit and the temperature."""
    server.reply_with(openai.answer("Yes."))
    engine = load(
        llm_settings(
            openai_api_key=f" {KEY}\n",
            openai_base_url=f"{server.url}/v1/",
            openai_model="qwen3:4b",
            llm_max_tokens=77,
            llm_temperature=0.25,
        )
    )
    history = (HistoryTurn("Is it wet?", "It is."), HistoryTurn("Unanswered", ""))
    await read_reply(engine, Prompt(text="Still?", language="en", system="Be kind.", history=history))
    await engine.close()
    assert server.received[0].body == {
        "model": "qwen3:4b",
        "stream": True,
        "max_tokens": 77,
        "temperature": 0.25,
        "messages": [
            {
                "role": "system",
                "content": "Be kind.\n\nThe user speaks English. Answer in English, unless you were told otherwise.",
            },
            {"role": "user", "content": "Is it wet?"},
            {"role": "assistant", "content": "It is."},
            {"role": "user", "content": "Still?"},
        ],
    }


async def test_server_without_keys_needs_no_key(server: OpenAiServer) -> None:
    """Without OPENAI_API_KEY the engine starts and answers, as users of Ollama expect."""
    server.key = ""
    server.reply_with(openai.answer("Yes."))
    engine = load(llm_settings(openai_base_url=f"{server.url}/v1"))
    assert await read_reply(engine) == ["Yes."]
    await engine.close()


async def test_replies_share_one_connection(server: OpenAiServer, engine: OpenAiEngine) -> None:
    """A second reply uses the same connection."""
    server.reply_with(openai.answer("Yes.", usage=True))
    await read_reply(engine)
    await read_reply(engine)
    assert [received.connection for received in server.received] == [1, 1]


@pytest.mark.parametrize(("header", "delay_s"), [("12", 12), ("0.5", 0.5), ("soon", None), (None, None)])
async def test_retry_delay_of_the_server_is_kept(
    server: OpenAiServer, engine: OpenAiEngine, header: str | None, delay_s: float | None
) -> None:
    """The error's delay is that of the Retry-After header; an invalid header is ignored."""
    server.reply_with(openai.error(429, "Rate limit reached.", headers={"retry-after": header} if header else None))
    with pytest.raises(ModelUnavailable) as caught:
        await read_reply(engine)
    assert caught.value.retry_after_s == delay_s


async def test_retry_date_of_the_server_is_kept(server: OpenAiServer, engine: OpenAiEngine) -> None:
    """A date in the Retry-After header becomes a delay from now."""
    due = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    server.reply_with(openai.error(503, "Down for a moment.", headers={"retry-after": due}))
    with pytest.raises(ModelUnavailable) as caught:
        await read_reply(engine)
    assert caught.value.retry_after_s == pytest.approx(30, abs=3)


async def test_closed_stream_without_timeouts_closes_its_connection(server: OpenAiServer, engine: OpenAiEngine) -> None:
    """Closing the engine's own generator half-way closes the connection at once."""
    server.reply_with(openai.unfinished("It ", Hang()))
    async with aclosing(engine.answer(PROMPT)) as chunks:
        assert await anext(chunks) == "It "
    assert await asyncio.to_thread(server.received[0].disconnected.wait, 2)


async def test_wrong_key_is_refused_and_never_shown(
    server: OpenAiServer, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    """A key that the server echoes appears neither in the error nor in any log line, down to the libraries' debug
    lines."""
    caplog.set_level(logging.DEBUG)
    key = "wrong-key-3f9a1b"
    engine = load(llm_settings(openai_api_key=key, openai_base_url=f"{server.url}/v1"))
    with capture_logs() as logs, pytest.raises(ModelRefused) as caught:
        await read_reply(engine)
    await engine.close()
    trace = "".join(traceback.format_exception(caught.value))
    output = f"{logs} {caplog.text} {capsys.readouterr()} {caught.value!r} {trace}"
    assert "Incorrect API key provided: ***" in output
    assert key not in output


async def test_openai_itself_gets_the_new_limit_field(monkeypatch: pytest.MonkeyPatch) -> None:
    """A request to OpenAI itself has max_completion_tokens, since its newer models refuse max_tokens."""
    sent: dict[str, object] = {}
    engine = load(llm_settings(openai_api_key=KEY, openai_base_url="https://api.openai.com/v1", llm_max_tokens=77))

    async def create(**request: object) -> None:
        sent.update(request)
        raise TimeoutError

    monkeypatch.setattr(engine._client.chat.completions, "create", create)
    with pytest.raises(TimeoutError):
        await read_reply(engine)
    await engine.close()
    assert sent["max_completion_tokens"] == 77
    assert not sent["max_tokens"]
