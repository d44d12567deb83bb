"""LLM settings that do not depend on the environment of the tests."""

from typing import Any

from llm_worker.settings import LlmSettings

#: The defaults of all settings, given explicitly: pydantic reads the environment only for fields that are not given.
_DEFAULTS = {name: field.default for name, field in LlmSettings.model_fields.items()}

#: Short answers, so that the tests of the limit are fast.
_FOR_TESTS = {"llm_max_tokens": 256}


def llm_settings(**changes: Any) -> LlmSettings:
    """Default settings with `changes`, whatever the environment and `.env` contain."""
    return LlmSettings(_env_file=None, **(_DEFAULTS | _FOR_TESTS | changes))
