"""The OpenAI-compatible engine: the real openai client against a local server that speaks its wire format."""

import asyncio
import logging
import threading
import traceback
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from structlog.testing import capture_logs

from fakes import openai_server as openai
from fakes.llm_settings import llm_settings
from fakes.openai_server import Cut, Gate, Hang, OpenAiServer
from llm_worker.engine import Prompt, Turn
from llm_worker.engines.remote.openai import OpenAiCompatible, load
from llm_worker.timeouts import with_deadlines
from shared.errors import AnswerBlocked, ModelRefused, ModelUnavailable, StartupError

KEY = "sk-test-c2VjcmV0"
PROMPT = Prompt(text="What is rain?", language="en", system="Speak briefly.")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[OpenAiServer]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with OpenAiServer(KEY) as server:
        yield server


@pytest.fixture
async def engine(server: OpenAiServer) -> AsyncIterator[OpenAiCompatible]:
    engine = load(llm_settings(openai_api_key=KEY, openai_base_url=f"{server.url}/v1", openai_model="tiny"))
    yield engine
    await engine.close()


async def said(engine: OpenAiCompatible, prompt: Prompt = PROMPT) -> list[str]:
    return [piece async for piece in engine.answer(prompt)]


async def test_text_comes_while_the_model_still_writes(server: OpenAiServer, engine: OpenAiCompatible) -> None:
    """The first piece is handed out before the last has been sent."""
    gate = threading.Event()
    server.will(openai.answer("Rain is ", Gate(gate), "water."))
    async with aclosing(engine.answer(PROMPT)) as pieces:
        assert await anext(pieces) == "Rain is "
        assert not server.received[0].answered.is_set()
        gate.set()
        assert [piece async for piece in pieces] == ["water."]


async def test_request_carries_prompt_and_limits(server: OpenAiServer) -> None:
    """Model, persona, language, history, question, token limit and temperature are what the server is sent."""
    server.will(openai.answer("Yes."))
    engine = load(
        llm_settings(
            openai_api_key=f" {KEY}\n",
            openai_base_url=f"{server.url}/v1/",
            openai_model="qwen3:4b",
            llm_max_tokens=77,
            llm_temperature=0.25,
        )
    )
    history = (Turn("Is it wet?", "It is."), Turn("Unanswered", ""))
    await said(engine, Prompt(text="Still?", language="en", system="Be kind.", history=history))
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


async def test_temperature_is_left_to_the_model_unless_set(server: OpenAiServer, engine: OpenAiCompatible) -> None:
    """Some models refuse any temperature but their own, so none is sent by default."""
    server.will(openai.answer("Yes."))
    await said(engine)
    assert "temperature" not in server.received[0].body


async def test_a_server_without_keys_needs_none(server: OpenAiServer) -> None:
    """With no OPENAI_API_KEY the engine starts and answers, as Ollama's users expect."""
    server.key = ""
    server.will(openai.answer("Yes."))
    engine = load(llm_settings(openai_base_url=f"{server.url}/v1"))
    assert await said(engine) == ["Yes."]
    await engine.close()


async def test_answers_share_one_connection(server: OpenAiServer, engine: OpenAiCompatible) -> None:
    """A second question needs no new connection."""
    server.will(openai.answer("Yes.", usage=True))
    await said(engine)
    await said(engine)
    assert [received.connection for received in server.received] == [1, 1]


async def test_an_answer_cut_by_the_token_limit_is_spoken(server: OpenAiServer, engine: OpenAiCompatible) -> None:
    """A finish for length after some text is a whole answer."""
    server.will(openai.answer("It is ", "a long", finish="length"))
    assert "".join(await said(engine)) == "It is a long"


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (openai.error(408, "Slow."), ModelUnavailable),
        (openai.error(429, "Rate limit reached."), ModelUnavailable),
        (openai.error(500, "Sorry."), ModelUnavailable),
        (openai.error(503, "Loading model."), ModelUnavailable),
        (openai.html_reply(502), ModelUnavailable),
        (openai.html_reply(200), ModelUnavailable),
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
        (openai.json_reply(302, {}, {"location": "http://127.0.0.1:1/"}), ModelRefused),
        (openai.answer("It is ", finish="content_filter"), AnswerBlocked),
        (openai.answer(), AnswerBlocked),
        (openai.answer(finish="length"), AnswerBlocked),
        (openai.answer(" \n"), AnswerBlocked),
    ],
)
async def test_every_failure_has_its_error(
    server: OpenAiServer, engine: OpenAiCompatible, reply: openai.Reply, error: type[Exception]
) -> None:
    """No bad answer ends quietly, and none is asked for twice: the queue decides about that."""
    server.will(reply)
    with pytest.raises(error):
        await said(engine)
    assert len(server.received) == 1


async def test_words_before_a_failure_are_handed_out(server: OpenAiServer, engine: OpenAiCompatible) -> None:
    """What was said before the model was stopped comes first, then the error."""
    server.will(openai.answer("It is ", finish="content_filter"))
    async with aclosing(engine.answer(PROMPT)) as pieces:
        assert await anext(pieces) == "It is "
        with pytest.raises(AnswerBlocked):
            await anext(pieces)


@pytest.mark.parametrize(("header", "delay_s"), [("12", 12), ("0.5", 0.5), ("soon", None), (None, None)])
async def test_the_delay_that_the_server_names_is_passed_on(
    server: OpenAiServer, engine: OpenAiCompatible, header: str | None, delay_s: float | None
) -> None:
    """Retry-After reaches the queue; nonsense in it does not."""
    server.will(openai.error(429, "Rate limit reached.", headers={"retry-after": header} if header else None))
    with pytest.raises(ModelUnavailable) as caught:
        await said(engine)
    assert caught.value.retry_after_s == delay_s


async def test_a_date_is_a_delay_too(server: OpenAiServer, engine: OpenAiCompatible) -> None:
    """A Retry-After date counts from now."""
    due = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    server.will(openai.error(503, "Down for a moment.", headers={"retry-after": due}))
    with pytest.raises(ModelUnavailable) as caught:
        await said(engine)
    assert caught.value.retry_after_s == pytest.approx(30, abs=3)


async def test_a_dead_server_is_unavailable(server: OpenAiServer, engine: OpenAiCompatible) -> None:
    """A refused connection may pass."""
    server.close()
    with pytest.raises(ModelUnavailable):
        await said(engine)


@pytest.mark.parametrize("steps", [(Hang(),), ("It ", Hang())])
async def test_a_cancelled_answer_drops_its_connection(
    server: OpenAiServer, engine: OpenAiCompatible, steps: tuple[str | Hang, ...]
) -> None:
    """Cancelling the task that listens, before or in the middle of the answer, is seen by the server at once."""
    server.will(openai.unfinished(*steps))
    task = asyncio.create_task(said(engine))
    while not server.received:  # noqa: ASYNC110 - the server lives on another thread
        await asyncio.sleep(0.005)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await asyncio.to_thread(server.received[0].dropped.wait, 2)


@pytest.mark.parametrize("steps", [(Hang(),), ("It ", Hang())])
async def test_a_deadline_drops_the_connection(
    server: OpenAiServer, engine: OpenAiCompatible, steps: tuple[str | Hang, ...]
) -> None:
    """A model that says nothing, or nothing more, is given up and its connection closed."""
    server.will(openai.unfinished(*steps))
    with pytest.raises(ModelUnavailable):
        async for _ in with_deadlines(engine.answer(PROMPT), 0.3, 0.3):
            pass
    assert await asyncio.to_thread(server.received[0].dropped.wait, 2)


@pytest.mark.parametrize("with_limits", [True, False])
async def test_a_listener_that_stops_drops_the_connection(
    server: OpenAiServer, engine: OpenAiCompatible, with_limits: bool
) -> None:
    """Closing the stream half-way is seen by the server at once."""
    server.will(openai.unfinished("It ", Hang()))
    answer = engine.answer(PROMPT)
    async with aclosing(with_deadlines(answer, 5, 5) if with_limits else answer) as pieces:
        assert await anext(pieces) == "It "
    assert await asyncio.to_thread(server.received[0].dropped.wait, 2)


async def test_a_wrong_key_is_refused_and_never_told(
    server: OpenAiServer, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither the error, nor any log line, down to the libraries' debugging, holds the key that the server echoes."""
    caplog.set_level(logging.DEBUG)
    key = "wrong-key-3f9a1b"
    engine = load(llm_settings(openai_api_key=key, openai_base_url=f"{server.url}/v1"))
    with capture_logs() as logs, pytest.raises(ModelRefused) as caught:
        await said(engine)
    await engine.close()
    trace = "".join(traceback.format_exception(caught.value))
    told = f"{logs} {caplog.text} {capsys.readouterr()} {caught.value!r} {trace}"
    assert "Incorrect API key provided: ***" in told
    assert key not in told


async def test_openai_itself_gets_the_new_name_of_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenAI's newer models refuse max_tokens; other servers know only that."""
    sent: dict[str, object] = {}
    engine = load(llm_settings(openai_api_key=KEY, openai_base_url="https://api.openai.com/v1", llm_max_tokens=77))

    async def create(**request: object) -> None:
        sent.update(request)
        raise TimeoutError

    monkeypatch.setattr(engine._client.chat.completions, "create", create)
    with pytest.raises(TimeoutError):
        await said(engine)
    await engine.close()
    assert sent["max_completion_tokens"] == 77
    assert not sent["max_tokens"]


@pytest.mark.parametrize(
    ("changes", "variable"),
    [
        ({"openai_base_url": ""}, "OPENAI_BASE_URL"),
        ({"openai_base_url": "ollama:11434/v1"}, "OPENAI_BASE_URL"),
        ({"openai_base_url": "http://ollama:11434/v1", "openai_api_key": "“quoted”"}, "OPENAI_API_KEY"),
    ],
)
def test_a_bad_setting_stops_the_start(changes: dict[str, str], variable: str) -> None:
    """The message names the variable to set, and not the key."""
    with pytest.raises(StartupError, match=variable) as caught:
        load(llm_settings(**changes))
    assert "quoted" not in str(caught.value)
