"""Every setting with its default and documentation, read from the classes in the `settings.py` files."""

import ast
import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import SecretStr

from api.settings import ApiSettings
from docs_generator.docker_variables import DOCKER_VARIABLES
from llm_worker.settings import LlmSettings
from shared.settings import SharedSettings, WorkerSettings
from stt_worker.settings import SttSettings
from tts_worker.settings import TtsSettings

#: The classes in the order of the pages, each with the heading of its own fields.
_CLASSES: dict[str, type[SharedSettings]] = {
    "All services": SharedSettings,
    "All workers": WorkerSettings,
    "API": ApiSettings,
    "STT worker": SttSettings,
    "LLM worker": LlmSettings,
    "TTS worker": TtsSettings,
}


@dataclass(frozen=True)
class Setting:
    """One environment variable."""

    name: str
    default: str
    """As it would stand in `.env`; empty where there is none."""

    text: str
    """Its documentation, in Markdown, on one line."""

    @property
    def summary(self) -> str:
        """The first sentence of the documentation."""
        return re.split(r"(?<=[.])\s", self.text, maxsplit=1)[0]


def all_settings() -> dict[str, list[Setting]]:
    """Every setting by the heading of its section."""
    sections = {heading: list(_own_settings(settings_class)) for heading, settings_class in _CLASSES.items()}
    docker = [Setting(name, variable.default, variable.text) for name, variable in DOCKER_VARIABLES.items()]
    return sections | {"Docker only": docker}


def _own_settings(settings_class: type[SharedSettings]) -> Iterator[Setting]:
    """The settings that the class itself defines, not those that it inherits."""
    for name, text in field_docstrings(inspect.getsource(settings_class)).items():
        default = settings_class.model_fields[name].default
        yield Setting(name.upper(), _as_in_env_file(default), text)


def field_docstrings(source: str) -> dict[str, str]:
    """The docstring below each annotated field of a class, on one line.

    Raises:
        ValueError: a field has none.
    """
    [definition] = ast.parse(source).body
    assert isinstance(definition, ast.ClassDef)
    documented: dict[str, str] = {}
    for statement, following in zip(definition.body, [*definition.body[1:], None], strict=True):
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            name = statement.target.id
            if not (
                isinstance(following, ast.Expr)
                and isinstance(following.value, ast.Constant)
                and isinstance(following.value.value, str)
            ):
                raise ValueError(f"{definition.name}.{name} has no docstring below it")
            documented[name] = " ".join(following.value.value.split())
    return documented


def _as_in_env_file(value: Any) -> str:
    if value is None:
        return ""
    return str(value.get_secret_value() if isinstance(value, SecretStr) else value)
