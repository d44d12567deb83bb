"""Agreements between files: settings, documentation, Makefile, OpenAPI document."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from fastapi.openapi.models import OpenAPI
from pydantic import SecretStr
from pydantic.fields import FieldInfo

from api.openapi import document
from api.settings import ApiSettings
from llm_worker.settings import LlmSettings
from stt_worker.settings import SttSettings
from tts_worker.settings import TtsSettings

ROOT = Path(__file__).parents[3]
ALL_SETTINGS = (ApiSettings, SttSettings, LlmSettings, TtsSettings)


def test_the_checked_in_openapi_document_is_current() -> None:
    """docs/openapi.json equals the document that the API serves, so that a change of the interface is seen in its
    diff."""
    hint = "Update it: .venv/bin/python -m api.openapi > docs/openapi.json"
    assert (ROOT / "docs" / "openapi.json").read_text() == document(), hint


def test_the_openapi_document_is_valid() -> None:
    """The OpenAPI document follows OpenAPI 3.1, its references lead to something, and each operation has its own id."""
    parsed = json.loads(document())
    OpenAPI.model_validate(parsed)
    for reference in re.findall(r'"\$ref": "#/([^"]+)"', document()):
        target = parsed
        for step in reference.split("/"):
            target = target[step]
    operations = [operation for path in parsed["paths"].values() for operation in path.values()]
    assert len({operation["operationId"] for operation in operations}) == len(operations)


def test_every_operation_documents_its_errors_as_problems() -> None:
    """Every documented error response is a problem with a schema, as the API sends it."""
    for path, operations in json.loads(document())["paths"].items():
        for operation in operations.values():
            for status, response in operation["responses"].items():
                if status[0] in "45d" and (path, status) != ("/readyz", "503"):
                    assert list(response["content"]) == ["application/problem+json"], (path, status)
                    assert "schema" in response["content"]["application/problem+json"], (path, status)


def defaults() -> dict[str, str]:
    """Every variable that a service reads, with its default."""
    fields: dict[str, FieldInfo] = {}
    for settings in ALL_SETTINGS:
        fields |= settings.model_fields
    return {name.upper(): environment_value(field.default) for name, field in fields.items()}


def environment_value(value: Any) -> str:
    """The value as it is written in an environment file."""
    if value is None:
        return ""
    return str(value.get_secret_value() if isinstance(value, SecretStr) else value)


def compose_variables() -> set[str]:
    """The variables that a compose file replaces."""
    return {name for path in ROOT.glob("docker-compose*.yml") for name in re.findall(r"\$\{(\w+)", path.read_text())}


def test_the_example_environment_names_every_setting() -> None:
    """.env.example has every variable that is read, and no other, once, as a comment with its default."""
    example = (ROOT / ".env.example").read_text()
    lines = re.findall(r"^# ?([A-Z][A-Z0-9_]*)=(.*)$", example, re.M)
    values = {name: value.strip('"') for name, value in lines}
    assert re.findall(r"^\w+=.*", example, re.M) == [], "a copy of the example to .env would change a setting"
    assert len(lines) == len(values), "a variable is listed twice"
    assert set(values) == set(defaults()) | compose_variables()
    assert {name: values[name] for name in defaults()} == defaults()


def make_targets() -> set[str]:
    return set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.M))


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_documented_make_targets_exist(page: str) -> None:
    """A page names only make targets that the Makefile has, and README.md names at least one."""
    text = (ROOT / page).read_text()
    code = re.findall(r"`([^`\n]+)`", text) + re.findall(r"```[a-z]*\n(.*?)```", text, re.S)
    named = {target for snippet in code for target in re.findall(r"\bmake ([a-z]+)\b", snippet)}
    assert named <= make_targets(), "not in the Makefile"
    if page == "README.md":
        assert named, "README.md names no make target to begin with"


def test_make_help_describes_every_target() -> None:
    """`make help` lists every target of the Makefile with a description."""
    help_text = subprocess.run(
        ["make", "--no-print-directory", "help"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert {line.split()[0] for line in help_text.splitlines()} == make_targets()
    assert all(len(line.split()) > 1 for line in help_text.splitlines())


def test_the_license_is_mit() -> None:
    """LICENSE holds the complete MIT license, and pyproject.toml names it."""
    text = " ".join((ROOT / "LICENSE").read_text().split())
    assert text.startswith("MIT License Copyright (c)")
    for sentence in ("Permission is hereby granted, free of charge", "shall be included in all copies", '"AS IS"'):
        assert sentence in text
    assert 'license = "MIT"' in (ROOT / "pyproject.toml").read_text()
