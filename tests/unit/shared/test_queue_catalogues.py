"""The catalogues of the queue: each name is defined once, used, and written out nowhere else."""

import ast
import re
from collections.abc import Iterator
from dataclasses import MISSING, fields
from functools import cache
from pathlib import Path

import pytest

from shared.queue import job_fields, keys, scripts
from shared.queue.events import EVENTS, LAST_EVENTS, EventPayload, PositionEvent, SegmentEvent, descriptions
from shared.queue.events import payload_types as types_of
from shared.queue.stages import ENDED, STAGES

ROOT = Path(__file__).parents[3]
LUA = sorted((ROOT / "shared" / "queue" / "lua").rglob("*.lua"))
PRODUCT = ("api", "cli", "shared", "stt-worker", "llm-worker", "tts-worker")

#: Modules that define names, which are therefore written out there.
DEFINITIONS = {"events.py", "job_fields.py", "keys.py", "stages.py"}

#: Job fields that are also names in another interface: the API's forms and JSON, and the labels of its metrics.
SHARED_NAMES = {
    "shared/queue/job.py": {"created_at", "updated_at"},
    "shared/queue/conversations.py": {"language", "voice"},
    "api": {"conversation_id", "job_id", "language", "stage", "status", "system_prompt", "voice"},
}


def lua_code(path: Path) -> str:
    return re.sub(r"--.*", "", path.read_text())


@cache
def python_modules() -> dict[str, str]:
    """The product's modules, but for those that define the names, with their source."""
    paths = (path for folder in PRODUCT for path in (ROOT / folder).rglob("*.py") if path.name not in DEFINITIONS)
    return {str(path.relative_to(ROOT)): path.read_text() for path in paths}


@cache
def python_code() -> str:
    return "\n".join(python_modules().values())


def string_literals(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


@pytest.mark.parametrize("name", job_fields.JOB_FIELDS)
def test_each_job_field_is_used_by_its_constant(name: str) -> None:
    """Each field of the job hash is used in Python or Lua by its name in the catalogue."""
    is_used = f"job_fields.{name.upper()}" in python_code()
    assert is_used or any(re.search(rf"\bFIELD\.{name}\b", lua_code(path)) for path in LUA)


@pytest.mark.parametrize("path", LUA, ids=lambda path: path.stem)
def test_script_writes_out_no_name_of_a_catalogue(path: Path) -> None:
    """A script uses keys, fields, events, statuses and stages by their names, not as strings. A verdict that it returns
    may equal a status."""
    names = {entry for catalogue in scripts.CATALOGUES.values() for entry in catalogue.values()}
    names |= set(keys.KEYS.values()) | {f"{name}:{stage}" for name in job_fields.JOB_FIELDS for stage in STAGES}
    literals = re.findall(r"(?<!return )'([^'\n]*)'", lua_code(path))
    assert names.isdisjoint(literals)


def test_no_module_writes_out_a_job_field() -> None:
    """Services use the fields of the job hash by their constants, not as strings. The command reads the API's JSON."""
    names = {name for name, field in job_fields.JOB_FIELDS.items() if not field.name.endswith("<stage>")}
    names |= {f"{name}:{stage}" for name in job_fields.JOB_FIELDS for stage in STAGES}
    services = {module: source for module, source in python_modules().items() if not module.startswith("cli")}
    for module, source in services.items():
        shared = {name for start, others in SHARED_NAMES.items() if module.startswith(start) for name in others}
        assert (names - shared).isdisjoint(string_literals(source)), module


@pytest.mark.parametrize(
    ("catalogue", "entry"),
    [(catalogue, entry) for catalogue, entries in scripts.CATALOGUES.items() for entry in entries],
)
def test_script_that_uses_a_deleted_name_does_not_load(
    catalogue: str, entry: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Loading the scripts fails when a catalogue lacks a name that one of them uses."""
    remaining = {name: value for name, value in scripts.CATALOGUES[catalogue].items() if name != entry}
    monkeypatch.setitem(scripts.CATALOGUES, catalogue, remaining)
    if any(re.search(rf"\b{catalogue}\.{entry}\b", lua_code(path)) for path in LUA):
        with pytest.raises(LookupError, match=rf"{catalogue}\.{entry}"):
            scripts.load_scripts.__wrapped__()


@pytest.mark.parametrize("name", ["TASK_FIELD", "TURN_FIELD", "STATUS"])
def test_each_entry_of_a_lua_catalogue_is_used(name: str) -> None:
    """A catalogue that only scripts use defines no name that none of them uses."""
    used = {entry for path in LUA for entry in re.findall(rf"\b{name}\.(\w+)", lua_code(path))}
    assert used == set(scripts.CATALOGUES[name])


@pytest.mark.parametrize("name", scripts.CONSTANTS)
def test_each_constant_is_used_by_a_script(name: str) -> None:
    """Each constant that scripts see is used by one of them."""
    assert any(re.search(rf"\b{name}\b", lua_code(path)) for path in LUA)


@pytest.mark.parametrize("name", scripts.load_scripts())
def test_assembled_script_uses_no_undefined_constant(name: str) -> None:
    """No constant is left in a script's source, since Lua would fail on it when the script runs."""
    source = re.sub(r"'[^'\n]*'", "", scripts.load_scripts()[name].source)
    assert set(re.findall(r"\b[A-Z][A-Z_]+\b", source)) <= {"ARGV"}


@pytest.mark.parametrize("value", ["it's", "a\nb", "back\\slash", "ä"])
def test_lua_literal_refuses_a_string_that_needs_an_escape(value: str) -> None:
    """A string with a quote, a backslash or a character outside printable ASCII is refused."""
    with pytest.raises(ValueError, match="escape"):
        scripts.lua_literal(value)


@pytest.mark.parametrize("value", [True, 1.5, None, {"a": 1}])
def test_lua_literal_refuses_other_types(value: scripts.LuaValue) -> None:
    """Only strings, integers and lists can be written to Lua."""
    with pytest.raises(TypeError):
        scripts.lua_literal(value)


def test_lua_literal_writes_lists_of_strings_and_integers() -> None:
    """A list is written as a table."""
    assert scripts.lua_literal(["a:", 5, []]) == "{'a:', 5, {}}"


def published() -> Iterator[tuple[str, set[str]]]:
    """Every event that a script publishes with a literal payload, with the payload's fields."""
    for path in LUA:
        call = r"(?:publish|end_job|move_to_ended)\(job, (?:EVENT|STATUS)\.(\w+), \{([^}]*)\}"
        for event, payload in re.findall(call, lua_code(path)):
            yield event, set(re.findall(r"(\w+) =", payload))


def test_scripts_publish_the_payloads_of_the_catalogue() -> None:
    """A script's payload has every field that the event's class requires, and no other."""
    for event, payload in published():
        required = {field.name for field in fields(EVENTS[event]) if field.default is MISSING}  # type: ignore[arg-type]
        assert required <= payload <= set(types_of(EVENTS[event])), event


@pytest.mark.parametrize("kind", EVENTS.values(), ids=lambda kind: kind.name)
def test_each_event_is_published(kind: type[EventPayload]) -> None:
    """Each event of the catalogue is published by a script, or made by the product's Python."""
    assert kind.name in {event for event, _ in published()} or f"{kind.__name__}(" in python_code()


def test_events_that_end_a_stream_are_the_statuses_of_an_ended_job() -> None:
    """Each status of an ended job has an event of the same name."""
    assert LAST_EVENTS == ENDED


def test_every_event_class_is_in_the_catalogue() -> None:
    """Every event class is listed in `EVENTS`, under its own name."""
    assert set(EVENTS.values()) == set(EventPayload.__subclasses__())
    assert all(name == kind.name for name, kind in EVENTS.items())


def test_undescribed_payload_field_is_refused() -> None:
    """A payload's field without a meaning cannot be documented, and the error names it."""

    class Undescribed:
        name = "undescribed"
        count: int

    with pytest.raises(TypeError, match="Undescribed: annotate count"):
        descriptions(Undescribed)  # type: ignore[arg-type]


def test_each_payload_field_is_described() -> None:
    """Every field of every payload has a description."""
    for kind in EVENTS.values():
        assert set(descriptions(kind)) == {field.name for field in fields(kind)}  # type: ignore[arg-type]


WEB = ROOT / "api" / "web"


def test_page_knows_the_stages() -> None:
    """The page's stages are those of the pipeline, in their order."""
    [stages] = re.findall(r"export const STAGES = \[(.*?)\]", (WEB / "strings.js").read_text())
    assert tuple(re.findall(r"'(\w+)'", stages)) == STAGES


def test_payload_is_stored_by_its_field_names() -> None:
    """A payload's dictionary has its fields by their names."""
    assert SegmentEvent(2, 1.5, "a.wav").as_dict() == {"index": 2, "duration_s": 1.5, "path": "a.wav"}
    assert PositionEvent("stt", 0, None).as_dict() == {"stage": "stt", "ahead": 0, "wait_s": None}
