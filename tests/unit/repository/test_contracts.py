"""What several files promise together."""

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


def test_the_openapi_document_is_the_code() -> None:
    """docs/openapi.json is what the API serves; a change of the interface is seen in its diff."""
    told = "Write it anew: .venv/bin/python -m api.openapi > docs/openapi.json"
    assert (ROOT / "docs" / "openapi.json").read_text() == document(), told


def test_the_openapi_document_is_valid() -> None:
    """It follows OpenAPI 3.1, every reference in it leads somewhere, and every operation has its own id."""
    written = json.loads(document())
    OpenAPI.model_validate(written)
    for reference in re.findall(r'"\$ref": "#/([^"]+)"', document()):
        target = written
        for step in reference.split("/"):
            target = target[step]
    operations = [operation for path in written["paths"].values() for operation in path.values()]
    assert len({operation["operationId"] for operation in operations}) == len(operations)


def test_every_operation_documents_its_errors_as_problems() -> None:
    """No error is announced in another form than the one that is sent."""
    for path, operations in json.loads(document())["paths"].items():
        for operation in operations.values():
            for status, response in operation["responses"].items():
                if status[0] in "45d" and (path, status) != ("/readyz", "503"):
                    assert list(response["content"]) == ["application/problem+json"], (path, status)
                    assert "schema" in response["content"]["application/problem+json"], (path, status)


def defaults() -> dict[str, str]:
    """Every variable that some service reads, and its value where nobody sets it."""
    fields: dict[str, FieldInfo] = {}
    for settings in ALL_SETTINGS:
        fields |= settings.model_fields
    return {name.upper(): as_written(field.default) for name, field in fields.items()}


def as_written(value: Any) -> str:
    if value is None:
        return ""
    return str(value.get_secret_value() if isinstance(value, SecretStr) else value)


def of_compose() -> set[str]:
    """Variables that a compose file replaces."""
    return {name for path in ROOT.glob("docker-compose*.yml") for name in re.findall(r"\$\{(\w+)", path.read_text())}


def test_the_example_environment_names_every_setting() -> None:
    """.env.example has each variable once, as a comment, with its default, and nothing that nobody reads."""
    example = (ROOT / ".env.example").read_text()
    lines = re.findall(r"^# ?([A-Z][A-Z0-9_]*)=(.*)$", example, re.M)
    values = {name: value.strip('"') for name, value in lines}
    assert re.findall(r"^\w+=.*", example, re.M) == [], "copied to .env, the example would set something"
    assert len(lines) == len(values), "a variable stands there twice"
    assert set(values) == set(defaults()) | of_compose()
    assert {name: values[name] for name in defaults()} == defaults()


def chores() -> set[str]:
    return set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.M))


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_the_documentation_names_real_chores(page: str) -> None:
    """Every `make word` that a page tells its reader to type is in the Makefile."""
    if not (ROOT / page).exists():
        pytest.skip(f"{page} is not written yet")
    text = (ROOT / page).read_text()
    code = re.findall(r"`([^`\n]+)`", text) + re.findall(r"```[a-z]*\n(.*?)```", text, re.S)
    named = {word for piece in code for word in re.findall(r"\bmake ([a-z]+)\b", piece)}
    assert named <= chores(), "not in the Makefile"
    if page == "README.md":
        assert named, "README.md tells nobody how to begin"


def test_make_help_lists_every_chore() -> None:
    """Who types `make` sees all words, each with what it does."""
    listed = subprocess.run(
        ["make", "--no-print-directory", "help"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert {line.split()[0] for line in listed.splitlines()} == chores()
    assert all(len(line.split()) > 1 for line in listed.splitlines())


def test_the_license_is_mit() -> None:
    """LICENSE holds the MIT license, whole, and pyproject.toml says so."""
    text = " ".join((ROOT / "LICENSE").read_text().split())
    assert text.startswith("MIT License Copyright (c)")
    for sentence in ("Permission is hereby granted, free of charge", "shall be included in all copies", '"AS IS"'):
        assert sentence in text
    assert 'license = "MIT"' in (ROOT / "pyproject.toml").read_text()
