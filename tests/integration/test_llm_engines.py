"""Behaviour common to both remote engines: the real clients against local servers with the vendors' wire formats."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing
from dataclasses import dataclass

import pytest

from fakes import gemini_server as gemini
from fakes import openai_server as openai
from fakes.llm_settings import llm_settings
from fakes.model_server import Cut, Gate, Hang, ModelServer, Reply, html_reply, json_reply
from llm_worker.engine import LlmEngine
from llm_worker.engine_selection import load_engine
from llm_worker.timeouts import with_timeouts
from shared.errors import AnswerBlocked, ModelRefused, ModelUnavailable, StartupError
from support.llm_replies import PROMPT, read_reply
from support.wait import async_wait_until

KEY = "test-key-c2VjcmV0"
REDIRECT = json_reply(302, {}, {"location": "http://127.0.0.1:1/"})


@dataclass(frozen=True)
class Vendor:
    """A vendor's fake server and its replies."""

    server: type[ModelServer]
    answer: Callable[..., Reply]
    unfinished: Callable[..., Reply]
    blocked: Reply
    """Some text, and then a finish reason of a blocked reply."""

    limit: str
    """The finish reason of a reply that reached the token limit."""


VENDORS = {
    "gemini": Vendor(
        gemini.GeminiServer, gemini.answer, gemini.unfinished, gemini.withheld("It is "), limit="MAX_TOKENS"
    ),
    "openai": Vendor(
        openai.OpenAiServer,
        openai.answer,
        openai.unfinished,
        openai.answer("It is ", finish="content_filter"),
        limit="length",
    ),
}

FAILURES = {
    "gemini": [
        (gemini.rate_limited(), ModelUnavailable),
        (gemini.error(500, "INTERNAL", "An internal error."), ModelUnavailable),
        (gemini.error(503, "UNAVAILABLE", "Overloaded."), ModelUnavailable),
        (html_reply(502), ModelUnavailable),
        (html_reply(200), ModelUnavailable),
        (gemini.unfinished(Cut()), ModelUnavailable),
        (gemini.unfinished("It ", Cut()), ModelUnavailable),
        (gemini.unfinished("It is."), ModelUnavailable),
        (gemini.fails_midway("It "), ModelUnavailable),
        (gemini.error(400, "INVALID_ARGUMENT", "Bad."), ModelRefused),
        (gemini.error(401, "UNAUTHENTICATED", "Bad."), ModelRefused),
        (gemini.error(403, "PERMISSION_DENIED", "Bad."), ModelRefused),
        (gemini.error(404, "NOT_FOUND", "No such model."), ModelRefused),
        (REDIRECT, ModelRefused),
        (gemini.blocked_prompt(), AnswerBlocked),
        (gemini.withheld("It is "), AnswerBlocked),
        (gemini.withheld(finish="RECITATION"), AnswerBlocked),
        (gemini.empty(), AnswerBlocked),
        (gemini.thoughts_only(), AnswerBlocked),
        (gemini.answer(" \n"), AnswerBlocked),
    ],
    "openai": [
        (openai.error(408, "Slow."), ModelUnavailable),
        (openai.error(429, "Rate limit reached."), ModelUnavailable),
        (openai.error(500, "Sorry."), ModelUnavailable),
        (openai.error(503, "Loading model."), ModelUnavailable),
        (html_reply(502), ModelUnavailable),
        (html_reply(200), ModelUnavailable),
        (openai.unfinished(Cut()), ModelUnavailable),
        (openai.unfinished("It ", Cut()), ModelUnavailable),
        (openai.unfinished("It ", b'data: {"choi\n\n'), ModelUnavailable),
        (openai.unfinished("It is."), ModelUnavailable),
        (openai.answer("It is.", finish="abort"), ModelUnavailable),
        (openai.fails_midway("It "), ModelUnavailable),
        (openai.error(400, "Bad."), ModelRefused),
        (openai.error(401, "Bad."), ModelRefused),
        (openai.error(403, "Bad."), ModelRefused),
        (openai.error(404, "model 'tiny' not found"), ModelRefused),
        (openai.error(422, "Bad."), ModelRefused),
        (REDIRECT, ModelRefused),
        (openai.answer("It is ", finish="content_filter"), AnswerBlocked),
        (openai.answer(), AnswerBlocked),
        (openai.answer(finish="length"), AnswerBlocked),
        (openai.answer(" \n"), AnswerBlocked),
    ],
}


@pytest.fixture(params=VENDORS)
def name(request: pytest.FixtureRequest) -> str:
    engine_name: str = request.param
    return engine_name


@pytest.fixture
def vendor(name: str) -> Vendor:
    return VENDORS[name]


@pytest.fixture
def server(vendor: Vendor, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModelServer]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with vendor.server(KEY) as server:
        yield server


@pytest.fixture
async def engine(name: str, server: ModelServer) -> AsyncIterator[LlmEngine]:
    engine = load_engine(
        llm_settings(
            llm_engine=name,
            gemini_api_key=KEY,
            gemini_base_url=server.url,
            gemini_model="gemini-2.5-flash",
            openai_api_key=KEY,
            openai_base_url=f"{server.url}/v1",
            openai_model="tiny",
        )
    )
    yield engine
    await engine.close()


async def test_text_arrives_while_the_model_still_writes(
    vendor: Vendor, server: ModelServer, engine: LlmEngine
) -> None:
    """An engine yields the first chunk before the server has sent the last one."""
    gate = threading.Event()
    server.reply_with(vendor.answer("Rain is ", Gate(gate), "water."))
    async with aclosing(engine.answer(PROMPT)) as chunks:  # type: ignore[type-var]
        assert await anext(chunks) == "Rain is "
        assert not server.received[0].response_sent.is_set()
        gate.set()
        assert [chunk async for chunk in chunks] == ["water."]


async def test_reply_that_reaches_the_token_limit_is_whole(
    vendor: Vendor, server: ModelServer, engine: LlmEngine
) -> None:
    """A reply with text that ends at the token limit is not an error."""
    server.reply_with(vendor.answer("It is ", "a long", finish=vendor.limit))
    assert "".join(await read_reply(engine)) == "It is a long"


@pytest.mark.parametrize(
    ("name", "reply", "error"),
    [(name, reply, error) for name, failures in FAILURES.items() for reply, error in failures],
)
async def test_every_failure_raises_its_error(
    server: ModelServer, engine: LlmEngine, reply: Reply, error: type[Exception]
) -> None:
    """A failed reply raises the matching error after a single request: only the queue retries."""
    server.reply_with(reply)
    with pytest.raises(error):
        await read_reply(engine)
    assert len(server.received) == 1


async def test_text_before_a_failure_is_yielded(vendor: Vendor, server: ModelServer, engine: LlmEngine) -> None:
    """A reply that is blocked half-way yields its text first, and then raises the error."""
    server.reply_with(vendor.blocked)
    async with aclosing(engine.answer(PROMPT)) as chunks:  # type: ignore[type-var]
        assert await anext(chunks) == "It is "
        with pytest.raises(AnswerBlocked):
            await anext(chunks)


async def test_refused_connection_is_unavailable(vendor: Vendor, server: ModelServer, engine: LlmEngine) -> None:
    """A server that accepts no connection raises an error that a retry may help."""
    server.reply_with(vendor.answer("Yes."))
    server.close()
    with pytest.raises(ModelUnavailable):
        await read_reply(engine)


@pytest.mark.parametrize("steps", [(Hang(),), ("It ", Hang())])
async def test_cancelled_reply_closes_its_connection(
    vendor: Vendor, server: ModelServer, engine: LlmEngine, steps: tuple[str | Hang, ...]
) -> None:
    """Cancelling the task that reads a reply, before or after its first text, closes the connection at once."""
    server.reply_with(vendor.unfinished(*steps))
    task = asyncio.create_task(read_reply(engine))
    await async_wait_until(lambda: server.received, poll_s=0.005)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await asyncio.to_thread(server.received[0].disconnected.wait, 2)


async def test_closed_stream_closes_its_connection(vendor: Vendor, server: ModelServer, engine: LlmEngine) -> None:
    """Closing a reply's stream half-way closes the connection at once."""
    server.reply_with(vendor.unfinished("It ", Hang()))
    async with aclosing(with_timeouts(engine.answer(PROMPT), 5, 5)) as chunks:
        assert await anext(chunks) == "It "
    assert await asyncio.to_thread(server.received[0].disconnected.wait, 2)


@pytest.mark.parametrize("steps", [(Hang(),), ("It ", Hang())])
async def test_timeout_closes_the_connection(
    vendor: Vendor, server: ModelServer, engine: LlmEngine, steps: tuple[str | Hang, ...]
) -> None:
    """A model that sends nothing, or nothing more, is unavailable after the timeout, and its connection is closed."""
    server.reply_with(vendor.unfinished(*steps))
    with pytest.raises(ModelUnavailable):
        async for _ in with_timeouts(engine.answer(PROMPT), 0.3, 0.3):
            pass
    assert await asyncio.to_thread(server.received[0].disconnected.wait, 2)


async def test_temperature_is_not_sent_by_default(vendor: Vendor, server: ModelServer, engine: LlmEngine) -> None:
    """Without LLM_TEMPERATURE no request has a temperature: newer models ignore or refuse it."""
    server.reply_with(vendor.answer("Yes."))
    await read_reply(engine)
    body = server.received[0].body
    assert "temperature" not in body
    assert "temperature" not in body.get("generationConfig", {})


@pytest.mark.parametrize(
    ("engine_name", "changes", "variable"),
    [
        ("gemini", {"gemini_api_key": ""}, "GEMINI_API_KEY"),
        ("gemini", {"gemini_api_key": "  "}, "GEMINI_API_KEY"),
        ("gemini", {"gemini_api_key": "“quoted”"}, "GEMINI_API_KEY"),
        ("gemini", {"gemini_api_key": KEY, "gemini_base_url": "localhost:80"}, "GEMINI_BASE_URL"),
        ("openai", {"openai_base_url": ""}, "OPENAI_BASE_URL"),
        ("openai", {"openai_base_url": "ollama:11434/v1"}, "OPENAI_BASE_URL"),
        ("openai", {"openai_base_url": "http://ollama:11434/v1", "openai_api_key": "“quoted”"}, "OPENAI_API_KEY"),
    ],
)
def test_invalid_setting_stops_the_start(engine_name: str, changes: dict[str, str], variable: str) -> None:
    """An invalid setting raises an error that names the variable, but not the key."""
    with pytest.raises(StartupError, match=variable) as caught:
        load_engine(llm_settings(llm_engine=engine_name, **changes))
    assert "quoted" not in str(caught.value)
