"""Select and build the language model engine."""

from llm_worker.engine import LlmEngine
from llm_worker.settings import LlmSettings
from shared.logs import get_logger
from shared.worker.engine_registry import find_engine

log = get_logger()


def choose_engine(settings: LlmSettings) -> str:
    """The name of the engine that `LLM_ENGINE` sets; for `auto`, of the first engine whose settings are complete."""
    if settings.llm_engine != "auto":
        return settings.llm_engine
    if settings.gemini_api_key.get_secret_value().strip():
        return "gemini"
    if settings.openai_base_url.strip():
        return "openai"
    # With a warning: an operator who set a key under another name would take the built-in replies for a model's.
    log.warning(
        "no_language_model_configured",
        engine="offline",
        hint="Neither GEMINI_API_KEY nor OPENAI_BASE_URL is set, so a small built-in responder answers.",
    )
    return "offline"


def load_engine(settings: LlmSettings) -> LlmEngine:
    """Build the engine that `choose_engine` names.

    Raises:
        StartupError: it is not installed or lacks a setting; the message names the variable.
    """
    engine: LlmEngine = find_engine("llm", choose_engine(settings))(settings)
    return engine
