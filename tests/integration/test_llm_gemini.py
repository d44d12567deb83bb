"""The Gemini engine: the real google-genai client against a local server that speaks its wire format."""

import asyncio
import logging
import threading
import traceback
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing

import pytest
from structlog.testing import capture_logs

from fakes import gemini_server as gemini
from fakes.gemini_server import Cut, Gate, GeminiServer, Hang
from fakes.llm_settings import llm_settings
from llm_worker.engine import Prompt, Turn
from llm_worker.engines.remote.gemini import Gemini, least_thinking, load
from llm_worker.timeouts import with_deadlines
from shared.errors import AnswerBlocked, ModelRefused, ModelUnavailable, StartupError

KEY = "test-key-c2VjcmV0"
PROMPT = Prompt(text="What is rain?", language="en", system="Speak briefly.")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[GeminiServer]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with GeminiServer(KEY) as server:
        yield server


@pytest.fixture
async def engine(server: GeminiServer) -> AsyncIterator[Gemini]:
    engine = load(llm_settings(gemini_api_key=KEY, gemini_base_url=server.url, gemini_model="gemini-2.5-flash"))
    yield engine
    await engine.close()


async def said(engine: Gemini, prompt: Prompt = PROMPT) -> list[str]:
    return [piece async for piece in engine.answer(prompt)]


async def test_text_comes_while_the_model_still_writes(server: GeminiServer, engine: Gemini) -> None:
    """The first piece is handed out before the last has been sent."""
    gate = threading.Event()
    server.will(gemini.answer("Rain is ", Gate(gate), "water."))
    async with aclosing(engine.answer(PROMPT)) as pieces:
        assert await anext(pieces) == "Rain is "
        assert not server.received[0].answered.is_set()
        gate.set()
        assert [piece async for piece in pieces] == ["water."]


async def test_request_carries_prompt_and_limits(server: GeminiServer) -> None:
    """Model, persona, language, history, question, limits and thinking are what the server is sent."""
    server.will(gemini.answer("Yes."))
    engine = load(
        llm_settings(
            gemini_api_key=f" {KEY}\n",
            gemini_base_url=server.url,
            gemini_model="gemini-3.7-flash",
            llm_max_tokens=77,
            llm_temperature=0.25,
        )
    )
    history = (Turn("Is it wet?", "It is."), Turn("Unanswered", ""))
    await said(engine, Prompt(text="Still?", language="en", system="Be kind.", history=history))
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


async def test_temperature_is_left_to_the_model_unless_set(server: GeminiServer, engine: Gemini) -> None:
    """Newer models ignore a temperature and will refuse it, so none is sent by default."""
    server.will(gemini.answer("Yes."))
    await said(engine)
    assert "temperature" not in server.received[0].body["generationConfig"]


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
def test_each_model_thinks_as_little_as_it_can(model: str, expected: dict[str, object] | None) -> None:
    """A family gets the least thinking that it accepts, an unknown model none set."""
    config = least_thinking(model)
    assert (config and config.model_dump(exclude_none=True, mode="json")) == expected


async def test_answers_share_one_connection(server: GeminiServer, engine: Gemini) -> None:
    """A second question needs no new connection, also after an answer that Google withheld."""
    server.will(gemini.answer("Yes."), gemini.withheld("No"), gemini.answer("Yes."))
    await said(engine)
    with pytest.raises(AnswerBlocked):
        await said(engine)
    await said(engine)
    assert [received.connection for received in server.received] == [1, 1, 1]


async def test_the_library_says_nothing_for_an_answer_that_went_well(
    server: GeminiServer, engine: Gemini, caplog: pytest.LogCaptureFixture
) -> None:
    """One request a log line is enough: no talk of functions that we do not use."""
    caplog.set_level(logging.INFO)
    server.will(gemini.answer("Yes."))
    await said(engine)
    assert [record.name for record in caplog.records if record.name.startswith("google")] == []


async def test_thoughts_are_not_spoken(server: GeminiServer, engine: Gemini) -> None:
    """Only the answer's own words are handed out."""
    server.will(gemini.thoughtful("It ", "is."))
    assert "".join(await said(engine)) == "It is."


async def test_an_answer_cut_by_the_token_limit_is_spoken(server: GeminiServer, engine: Gemini) -> None:
    """MAX_TOKENS after some text is a whole answer."""
    server.will(gemini.answer("It is ", "a long", finish="MAX_TOKENS"))
    assert "".join(await said(engine)) == "It is a long"


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (gemini.rate_limited(), ModelUnavailable),
        (gemini.error(500, "INTERNAL", "An internal error."), ModelUnavailable),
        (gemini.error(503, "UNAVAILABLE", "Overloaded."), ModelUnavailable),
        (gemini.html_reply(502), ModelUnavailable),
        (gemini.html_reply(200), ModelUnavailable),
        (gemini.unfinished(Cut()), ModelUnavailable),
        (gemini.unfinished("It ", Cut()), ModelUnavailable),
        (gemini.unfinished("It is."), ModelUnavailable),
        (gemini.fails_midway("It "), ModelUnavailable),
        (gemini.error(400, "INVALID_ARGUMENT", "Bad."), ModelRefused),
        (gemini.error(401, "UNAUTHENTICATED", "Bad."), ModelRefused),
        (gemini.error(403, "PERMISSION_DENIED", "Bad."), ModelRefused),
        (gemini.error(404, "NOT_FOUND", "No such model."), ModelRefused),
        (gemini.json_reply(302, {}, {"location": "http://127.0.0.1:1/"}), ModelRefused),
        (gemini.blocked_prompt(), AnswerBlocked),
        (gemini.withheld("It is "), AnswerBlocked),
        (gemini.withheld(finish="RECITATION"), AnswerBlocked),
        (gemini.empty(), AnswerBlocked),
        (gemini.thoughts_only(), AnswerBlocked),
        (gemini.answer(" \n"), AnswerBlocked),
    ],
)
async def test_every_failure_has_its_error(
    server: GeminiServer, engine: Gemini, reply: gemini.Reply, error: type[Exception]
) -> None:
    """No bad answer ends quietly, and none is asked for twice: the queue decides about that."""
    server.will(reply)
    with pytest.raises(error):
        await said(engine)
    assert len(server.received) == 1


async def test_words_before_a_failure_are_handed_out(server: GeminiServer, engine: Gemini) -> None:
    """What was said before the model was stopped comes first, then the error."""
    server.will(gemini.withheld("It is "))
    async with aclosing(engine.answer(PROMPT)) as pieces:
        assert await anext(pieces) == "It is "
        with pytest.raises(AnswerBlocked):
            await anext(pieces)


@pytest.mark.parametrize(
    ("reply", "delay_s"),
    [
        (gemini.rate_limited(retry_info="7.5s", retry_after="60"), 7.5),
        (gemini.rate_limited(retry_after="60"), 60),
        (gemini.rate_limited(), None),
    ],
)
async def test_the_delay_that_the_server_names_is_passed_on(
    server: GeminiServer, engine: Gemini, reply: gemini.Reply, delay_s: float | None
) -> None:
    """RetryInfo counts before the header, and neither is none."""
    server.will(reply)
    with pytest.raises(ModelUnavailable) as caught:
        await said(engine)
    assert caught.value.retry_after_s == delay_s


async def test_a_dead_server_is_unavailable(server: GeminiServer, engine: Gemini) -> None:
    """A refused connection may pass."""
    server.will(gemini.answer("Yes."))
    server.close()
    with pytest.raises(ModelUnavailable):
        await said(engine)


@pytest.mark.parametrize("steps", [(Hang(),), ("It ", Hang())])
async def test_a_cancelled_answer_drops_its_connection(
    server: GeminiServer, engine: Gemini, steps: tuple[str | Hang, ...]
) -> None:
    """Cancelling the task that listens, before or in the middle of the answer, is seen by the server at once."""
    server.will(gemini.unfinished(*steps))
    task = asyncio.create_task(said(engine))
    while not server.received:  # noqa: ASYNC110 - the server lives on another thread
        await asyncio.sleep(0.005)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await asyncio.to_thread(server.received[0].dropped.wait, 2)


async def test_a_listener_that_stops_drops_the_connection(server: GeminiServer, engine: Gemini) -> None:
    """Closing the stream half-way is seen by the server at once."""
    server.will(gemini.unfinished("It ", Hang()))
    async with aclosing(with_deadlines(engine.answer(PROMPT), 5, 5)) as pieces:
        assert await anext(pieces) == "It "
    assert await asyncio.to_thread(server.received[0].dropped.wait, 2)


@pytest.mark.parametrize("steps", [(Hang(),), ("It ", Hang())])
async def test_a_deadline_drops_the_connection(
    server: GeminiServer, engine: Gemini, steps: tuple[str | Hang, ...]
) -> None:
    """A model that says nothing, or nothing more, is given up and its connection closed."""
    server.will(gemini.unfinished(*steps))
    with pytest.raises(ModelUnavailable):
        async for _ in with_deadlines(engine.answer(PROMPT), 0.3, 0.3):
            pass
    assert await asyncio.to_thread(server.received[0].dropped.wait, 2)


async def test_a_wrong_key_is_refused_and_never_told(
    server: GeminiServer, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither the error, nor any log line, down to the libraries' debugging, holds the key."""
    caplog.set_level(logging.DEBUG)
    key = "wrong-key-3f9a1b"
    server.will(gemini.error(403, "PERMISSION_DENIED", f"The key {key} may not do this."))
    server.key = key
    engine = load(llm_settings(gemini_api_key=key, gemini_base_url=server.url))
    with capture_logs() as logs, pytest.raises(ModelRefused) as caught:
        await said(engine)
    server.key = "another"
    with capture_logs() as more_logs, pytest.raises(ModelRefused):
        await said(engine)
    await engine.close()
    trace = "".join(traceback.format_exception(caught.value))
    told = f"{logs} {more_logs} {caplog.text} {capsys.readouterr()} {caught.value!r} {trace}"
    assert "may not do this" in told
    assert "API key not valid" in told
    assert key not in told


@pytest.mark.parametrize(
    ("changes", "variable"),
    [
        ({"gemini_api_key": ""}, "GEMINI_API_KEY"),
        ({"gemini_api_key": "  "}, "GEMINI_API_KEY"),
        ({"gemini_api_key": "“quoted”"}, "GEMINI_API_KEY"),
        ({"gemini_api_key": KEY, "gemini_base_url": "localhost:80"}, "GEMINI_BASE_URL"),
    ],
)
def test_a_bad_setting_stops_the_start(changes: dict[str, str], variable: str) -> None:
    """The message names the variable to set, and not the key."""
    with pytest.raises(StartupError, match=variable) as caught:
        load(llm_settings(**changes))
    assert "quoted" not in str(caught.value)
