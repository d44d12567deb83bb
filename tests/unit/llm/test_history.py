"""What a model is told of a conversation, and in which language it is to answer."""

from collections.abc import AsyncGenerator
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes.llm_settings import llm_settings
from llm_worker.engine import HistoryTurn, Prompt
from llm_worker.handler import LlmHandler
from llm_worker.history import estimate_tokens, last_turns
from llm_worker.languages import language_name
from shared.queue.messages import Claim, Outcome

HISTORY = (("first", "one"), ("second", "two"), ("third", "three"))

#: Of each of these turns, with what a server puts around its two messages.
TURN_TOKENS = 12


class Engine:
    """Keeps what it is asked."""

    name, model = "fake", "fake"

    def __init__(self) -> None:
        self.prompt = Prompt("", "", "")

    async def answer(self, prompt: Prompt) -> AsyncGenerator[str, None]:
        self.prompt = prompt
        yield "Yes."

    async def close(self) -> None:
        pass


async def asked(history: tuple[tuple[str, str], ...] = (), budget: int = 2000, **fields: str) -> Prompt:
    """What the engine is asked for a job."""
    engine = Engine()
    settings = llm_settings(llm_history_tokens=budget, llm_system_prompt="Be brief.")

    async def record_step(_outcome: Outcome) -> None:
        pass

    claim = Claim("llm:a", "token", 1, "", {"route": "llm,tts", "transcript": "So?"} | fields, history=history)
    await LlmHandler(engine, settings).handle(claim, record_step)
    return engine.prompt


@pytest.mark.parametrize(
    ("budget", "told"), [(0, 0), (TURN_TOKENS - 1, 0), (TURN_TOKENS, 1), (2 * TURN_TOKENS, 2), (2000, 3)]
)
async def test_what_does_not_fit_is_left_out_oldest_first(budget: int, told: int) -> None:
    """The latest turns are told, in their order."""
    prompt = await asked(HISTORY, budget)
    assert prompt.history == tuple(HistoryTurn(user, assistant) for user, assistant in HISTORY[3 - told :])


@given(st.lists(st.tuples(st.text(max_size=80), st.text(max_size=80)), max_size=20), st.integers(0, 400))
def test_no_more_is_told_than_the_budget_allows(history: list[tuple[str, str]], budget: int) -> None:
    """Whatever was said: it is the end of the conversation, and one turn more would have been too much."""
    told = [(turn.user, turn.assistant) for turn in last_turns(history, budget)]
    assert told == history[len(history) - len(told) :]
    spent = [estimate_tokens(user) + estimate_tokens(assistant) for user, assistant in history]
    assert sum(spent[len(history) - len(told) :]) <= budget
    if len(told) < len(history):
        assert sum(spent[len(history) - len(told) - 1 :]) > budget


async def test_the_answer_is_in_the_language_spoken() -> None:
    """The model is told its name, beside whatever else it is told."""
    line = "The user speaks German. Answer in German, unless you were told otherwise."
    assert (await asked(language="de")).instructions == f"Be brief.\n\n{line}"
    assert (await asked(language="de", system_prompt="Translate.")).instructions == f"Translate.\n\n{line}"
    assert Prompt("Hallo", "de", "").instructions == line


async def test_of_an_unknown_language_nothing_is_said() -> None:
    """A written question may name none; then the model sees for itself."""
    assert (await asked()).instructions == "Be brief."


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("en", "English"),
        ("pt-BR", "Brazilian Portuguese"),
        ("pt-XX", "Portuguese"),
        ("zh-hant", "Traditional Chinese"),
        ("EN-gb", "British English"),
        ("jw", "Javanese"),
        ("qqq", "the language with the code qqq"),
    ],
)
def test_a_language_has_a_name(code: str, name: str) -> None:
    """Also a region's own, and the odd code of a recognizer."""
    assert language_name(code) == name


@given(st.from_regex(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,2}", fullmatch=True) | st.text())
def test_any_code_has_some_name(code: str) -> None:
    """Whatever a caller or a recognizer gives."""
    assert language_name(code)
    assert cast(str, Prompt("", code, "").instructions) is not None
