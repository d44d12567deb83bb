"""Which engine answers."""

import pytest
from structlog.testing import capture_logs

from fakes.llm_settings import llm_settings
from llm_worker.engine_selection import choose_engine, load_engine
from llm_worker.settings import LlmSettings
from shared.errors import StartupError


@pytest.mark.parametrize(
    ("changes", "chosen"),
    [
        ({"gemini_api_key": "k"}, "gemini"),
        ({"gemini_api_key": "k", "openai_base_url": "http://ollama/v1"}, "gemini"),
        ({"openai_base_url": "http://ollama/v1"}, "openai"),
        ({"openai_base_url": "http://ollama/v1", "gemini_api_key": "  "}, "openai"),
        ({"llm_engine": "offline", "gemini_api_key": "k"}, "offline"),
        ({"llm_engine": "somebody-elses"}, "somebody-elses"),
    ],
)
def test_auto_takes_the_first_that_has_what_it_needs(changes: dict[str, str], chosen: str) -> None:
    """Gemini with a key, else openai with a server; a named engine is never overruled, and nothing is logged."""
    with capture_logs() as logs:
        assert choose_engine(llm_settings(**changes)) == chosen
    assert logs == []


@pytest.mark.parametrize("changes", [{}, {"gemini_api_key": " ", "openai_base_url": " "}])
def test_answering_without_a_model_is_said_aloud(changes: dict[str, str]) -> None:
    """The fall back to the built-in responder is a warning that names what to set."""
    with capture_logs() as logs:
        assert choose_engine(llm_settings(**changes)) == "offline"
    assert logs[0]["log_level"] == "warning"
    assert "GEMINI_API_KEY" in logs[0]["hint"]
    assert "OPENAI_BASE_URL" in logs[0]["hint"]


@pytest.mark.parametrize(
    ("changes", "model"),
    [
        ({"gemini_api_key": "k", "gemini_model": "g"}, "g"),
        ({"openai_base_url": "http://ollama/v1", "openai_model": "o"}, "o"),
        ({}, "built-in"),
    ],
)
async def test_the_chosen_engine_is_built_from_the_settings(changes: dict[str, str], model: str) -> None:
    """Each of our three engines is found by its name and knows its model."""
    settings: LlmSettings = llm_settings(**changes)
    engine = load_engine(settings)
    assert (engine.name, engine.model) == (choose_engine(settings), model)
    await engine.close()


def test_an_unknown_engine_stops_the_start() -> None:
    """The message lists the engines that are installed."""
    with pytest.raises(StartupError, match=r"LLM_ENGINE.*gemini, offline, openai"):
        load_engine(llm_settings(llm_engine="parrot"))
