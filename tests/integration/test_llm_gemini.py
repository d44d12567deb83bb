"""The Gemini engine's own behaviour: the real google-genai client against a local server with its wire format."""

import logging
import traceback
from collections.abc import AsyncIterator, Iterator

import pytest
from structlog.testing import capture_logs

from fakes import gemini_server as gemini
from fakes.gemini_server import GeminiServer
from fakes.llm_settings import llm_settings
from llm_worker.engine import HistoryTurn, Prompt
from llm_worker.engines.remote.gemini import GeminiEngine, least_thinking, load
from shared.errors import AnswerBlocked, ModelRefused, ModelUnavailable
from support.llm_replies import read_reply

KEY = "test-key-c2VjcmV0"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[GeminiServer]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with GeminiServer(KEY) as server:
        yield server


@pytest.fixture
async def engine(server: GeminiServer) -> AsyncIterator[GeminiEngine]:
    engine = load(llm_settings(gemini_api_key=KEY, gemini_base_url=server.url, gemini_model="gemini-2.5-flash"))
    yield engine
    await engine.close()


async def test_request_contains_prompt_and_settings(server: GeminiServer) -> None:
    """A request contains the model, the prompt with its history, the limits and the thinking level."""
    server.reply_with(gemini.answer("Yes."))
    engine = load(
        llm_settings(
            gemini_api_key=f" {KEY}\n",
            gemini_base_url=server.url,
            gemini_model="gemini-3.7-flash",
            llm_max_tokens=77,
            llm_temperature=0.25,
        )
    )
    history = (HistoryTurn("Is it wet?", "It is."), HistoryTurn("Unanswered", ""))
    await read_reply(engine, Prompt(text="Still?", language="en", system="Be kind.", history=history))
    await engine.close()
    received = server.received[0]
    assert received.path.partition("/models/")[2] == "gemini-3.7-flash:streamGenerateContent?alt=sse"
    assert received.headers["x-goog-api-key"] == KEY
    assert received.body["systemInstruction"]["parts"] == [
        {"text": "Be kind.\n\nThe user speaks English. Answer in English, unless you were told otherwise."}
    ]
    assert [(turn["role"], turn["parts"]) for turn in received.body["contents"]] == [
        ("user", [{"text": "Is it wet?"}]),
        ("model", [{"text": "It is."}]),
        ("user", [{"text": "Still?"}]),
    ]
    config = received.body["generationConfig"]
    thinking = {name.lower().replace("_", ""): value for name, value in config.pop("thinkingConfig").items()}
    assert thinking == {"thinkinglevel": "LOW"}
    assert config == {"maxOutputTokens": 77, "temperature": 0.25}


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("gemini-2.5-flash", {"thinking_budget": 0}),
        ("models/gemini-2.5-flash-lite", {"thinking_budget": 0}),
        ("gemini-2.5-pro", {"thinking_budget": 128}),
        ("gemini-3-flash-preview", {"thinking_level": "MINIMAL"}),
        ("gemini-3.6-flash", {"thinking_level": "MINIMAL"}),
        ("gemini-3.7-flash", {"thinking_level": "LOW"}),
        ("gemini-3.8-flash", {"thinking_level": "LOW"}),
        ("gemini-3.8-flash-lite", {"thinking_level": "MINIMAL"}),
        ("gemini-3.1-pro-preview", {"thinking_level": "LOW"}),
        ("gemini-flash-latest", {"thinking_level": "LOW"}),
        ("gemma-3-27b-it", None),
        ("gemini-2.0-flash", None),
    ],
)
def test_each_model_gets_the_least_thinking(model: str, expected: dict[str, object] | None) -> None:
    """A known family gets the least thinking that it accepts; for an unknown model none is set."""
    config = least_thinking(model)
    assert (config and config.model_dump(exclude_none=True, mode="json")) == expected


async def test_replies_share_one_connection(server: GeminiServer, engine: GeminiEngine) -> None:
    """A second reply uses the same connection, even after one that Google withheld."""
    server.reply_with(gemini.answer("Yes."), gemini.withheld("No"), gemini.answer("Yes."))
    await read_reply(engine)
    with pytest.raises(AnswerBlocked):
        await read_reply(engine)
    await read_reply(engine)
    assert [received.connection for received in server.received] == [1, 1, 1]


async def test_library_logs_nothing_for_a_successful_reply(
    server: GeminiServer, engine: GeminiEngine, caplog: pytest.LogCaptureFixture
) -> None:
    """A successful reply causes no log line of the library, such as one about functions that are not used."""
    caplog.set_level(logging.INFO)
    server.reply_with(gemini.answer("Yes."))
    await read_reply(engine)
    assert [record.name for record in caplog.records if record.name.startswith("google")] == []


async def test_thoughts_are_not_part_of_the_reply(server: GeminiServer, engine: GeminiEngine) -> None:
    """The model's thoughts are removed from its reply."""
    server.reply_with(gemini.thoughtful("It ", "is."))
    assert "".join(await read_reply(engine)) == "It is."


@pytest.mark.parametrize(
    ("reply", "delay_s"),
    [
        (gemini.rate_limited(retry_info="7.5s", retry_after="60"), 7.5),
        (gemini.rate_limited(retry_after="60"), 60),
        (gemini.rate_limited(), None),
    ],
)
async def test_retry_delay_of_the_server_is_kept(
    server: GeminiServer, engine: GeminiEngine, reply: gemini.Reply, delay_s: float | None
) -> None:
    """The error's delay is that of RetryInfo, else that of the Retry-After header, else None."""
    server.reply_with(reply)
    with pytest.raises(ModelUnavailable) as caught:
        await read_reply(engine)
    assert caught.value.retry_after_s == delay_s


async def test_wrong_key_is_refused_and_never_shown(
    server: GeminiServer, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    """A wrong key appears neither in the error nor in any log line, down to the libraries' debug lines."""
    caplog.set_level(logging.DEBUG)
    key = "wrong-key-3f9a1b"
    server.reply_with(gemini.error(403, "PERMISSION_DENIED", f"The key {key} may not do this."))
    server.key = key
    engine = load(llm_settings(gemini_api_key=key, gemini_base_url=server.url))
    with capture_logs() as logs, pytest.raises(ModelRefused) as caught:
        await read_reply(engine)
    server.key = "another"
    with capture_logs() as more_logs, pytest.raises(ModelRefused):
        await read_reply(engine)
    await engine.close()
    trace = "".join(traceback.format_exception(caught.value))
    output = f"{logs} {more_logs} {caplog.text} {capsys.readouterr()} {caught.value!r} {trace}"
    assert "may not do this" in output
    assert "API key not valid" in output
    assert key not in output
