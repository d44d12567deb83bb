"""Selection of the language model engine."""

import pytest
from structlog.testing import capture_logs

from fakes.llm_settings import llm_settings
from llm_worker.engine_selection import choose_engine, load_engine
from llm_worker.settings import LlmSettings
from shared.errors import StartupError


@pytest.mark.parametrize(
    ("changes", "selected"),
    [
        ({"gemini_api_key": "k"}, "gemini"),
        ({"gemini_api_key": "k", "openai_base_url": "http://ollama/v1"}, "gemini"),
        ({"openai_base_url": "http://ollama/v1"}, "openai"),
        ({"openai_base_url": "http://ollama/v1", "gemini_api_key": "  "}, "openai"),
        ({"llm_engine": "offline", "gemini_api_key": "k"}, "offline"),
        ({"llm_engine": "third-party"}, "third-party"),
    ],
)
def test_auto_selects_the_first_complete_engine(changes: dict[str, str], selected: str) -> None:
    """`auto` selects gemini with a key, else openai with a URL; a named engine is kept, and nothing is logged."""
    with capture_logs() as logs:
        assert choose_engine(llm_settings(**changes)) == selected
    assert logs == []


@pytest.mark.parametrize("changes", [{}, {"gemini_api_key": " ", "openai_base_url": " "}])
def test_fallback_to_the_built_in_responder_is_logged(changes: dict[str, str]) -> None:
    """Without any model, the selection of the built-in responder is a warning that names the variables to set."""
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
async def test_selected_engine_is_built_from_the_settings(changes: dict[str, str], model: str) -> None:
    """Each of the three engines is found by its name and reports the model of its settings."""
    settings: LlmSettings = llm_settings(**changes)
    engine = load_engine(settings)
    assert (engine.name, engine.model) == (choose_engine(settings), model)
    await engine.close()


def test_unknown_engine_stops_the_start() -> None:
    """An unknown engine raises an error that lists the installed engines."""
    with pytest.raises(StartupError, match=r"LLM_ENGINE.*gemini, offline, openai"):
        load_engine(llm_settings(llm_engine="parrot"))
