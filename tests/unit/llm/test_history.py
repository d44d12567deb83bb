"""The conversation and the language in a prompt."""

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

#: Estimated tokens of each turn above, with the overhead of its two messages.
TURN_TOKENS = 12


class RecordingEngine:
    """Keeps the last prompt."""

    name = "fake"
    model = "fake"

    def __init__(self) -> None:
        self.prompt = Prompt("", "", "")

    async def answer(self, prompt: Prompt) -> AsyncGenerator[str, None]:
        self.prompt = prompt
        yield "Yes."

    async def close(self) -> None:
        pass


async def prompt_of_job(history: tuple[tuple[str, str], ...] = (), budget: int = 2000, **fields: str) -> Prompt:
    """The prompt that the handler sends to the engine for a job."""
    engine = RecordingEngine()
    settings = llm_settings(llm_history_tokens=budget, llm_system_prompt="Be brief.")

    async def record_step(_outcome: Outcome) -> None:
        pass

    claim = Claim("llm:a", "token", 1, "", {"route": "llm,tts", "transcript": "So?"} | fields, history=history)
    await LlmHandler(engine, settings).handle(claim, record_step)
    return engine.prompt


@pytest.mark.parametrize(
    ("budget", "turns"), [(0, 0), (TURN_TOKENS - 1, 0), (TURN_TOKENS, 1), (2 * TURN_TOKENS, 2), (2000, 3)]
)
async def test_oldest_turns_are_left_out_first(budget: int, turns: int) -> None:
    """A prompt has as many of the latest turns as fit into the budget, in their order."""
    prompt = await prompt_of_job(HISTORY, budget)
    assert prompt.history == tuple(HistoryTurn(user, assistant) for user, assistant in HISTORY[3 - turns :])


@given(st.lists(st.tuples(st.text(max_size=80), st.text(max_size=80)), max_size=20), st.integers(0, 400))
def test_history_fills_the_budget_and_no_more(history: list[tuple[str, str]], budget: int) -> None:
    """Any history is cut to its latest turns within the budget; one turn more would exceed it."""
    turns = [(turn.user, turn.assistant) for turn in last_turns(history, budget)]
    assert turns == history[len(history) - len(turns) :]
    tokens = [estimate_tokens(user) + estimate_tokens(assistant) for user, assistant in history]
    assert sum(tokens[len(history) - len(turns) :]) <= budget
    if len(turns) < len(history):
        assert sum(tokens[len(history) - len(turns) - 1 :]) > budget


async def test_instructions_name_the_language() -> None:
    """The instructions end with the name of the user's language, after the system prompt if there is one."""
    line = "The user speaks German. Answer in German, unless you were told otherwise."
    assert (await prompt_of_job(language="de")).instructions == f"Be brief.\n\n{line}"
    assert (await prompt_of_job(language="de", system_prompt="Translate.")).instructions == f"Translate.\n\n{line}"
    assert Prompt("Hallo", "de", "").instructions == line


async def test_instructions_omit_an_unknown_language() -> None:
    """Without a language, as in a written question, the instructions are the system prompt alone."""
    assert (await prompt_of_job()).instructions == "Be brief."


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
def test_language_code_has_a_name(code: str, name: str) -> None:
    """A code, a tag with a region and a recognizer's old code all have an English name."""
    assert language_name(code) == name


@given(st.from_regex(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,2}", fullmatch=True) | st.text())
def test_any_code_has_a_name(code: str) -> None:
    """Any text as a code has a name, and so instructions."""
    assert language_name(code)
    assert cast(str, Prompt("", code, "").instructions) is not None
