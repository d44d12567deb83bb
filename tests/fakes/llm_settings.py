"""LLM settings that do not depend on the environment of the tests."""

from typing import Any

from llm_worker.settings import LlmSettings

_NEUTRAL: dict[str, Any] = {
    "llm_engine": "auto",
    "gemini_api_key": "",
    "gemini_base_url": "",
    "openai_api_key": "",
    "openai_base_url": "",
    "llm_max_tokens": 256,
    "llm_temperature": None,
}


def llm_settings(**changes: Any) -> LlmSettings:
    """Default settings with `changes`, whatever the environment and `.env` contain."""
    return LlmSettings(_env_file=None, **(_NEUTRAL | changes))
