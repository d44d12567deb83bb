"""The Lua scripts, each with the functions of `lua/lib/` and the constants that it uses."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from shared.errors import QueueUnreadable, WorkerDied
from shared.queue import job_fields, keys
from shared.queue.events import EVENTS
from shared.queue.stages import JOIN, STAGES, STATUSES

LuaValue = str | int | list["LuaValue"]

#: The constants that a script uses by their bare names.
CONSTANTS: dict[str, LuaValue] = {
    **keys.KEYS,
    "LEASE_MS": keys.LEASE_MS,
    "MAX_CRASHES": keys.MAX_CRASHES,
    "TURNS_KEPT": keys.TURNS_KEPT,
    "HISTORY_BYTES": keys.HISTORY_BYTES,
    "MAX_COUNTERS": keys.MAX_COUNTERS,
    "BOUNDS_MS": list(keys.BOUNDS_MS),
    "STAGES": list(STAGES),
    "JOIN": JOIN,
    "TIME_FIELDS": [
        job_fields.CREATED_AT,
        job_fields.FIRST_AUDIO_AT,
        *(
            field.of(stage)
            for stage in STAGES
            for field in (job_fields.QUEUED_AT, job_fields.BEGUN_AT, job_fields.DONE_AT)
        ),
    ],
}

#: The errors with which a script fails a job.
_ERRORS = (WorkerDied, QueueUnreadable)

#: The catalogues that a script uses by a dotted name, such as `FIELD.status`.
CATALOGUES: dict[str, Mapping[str, str]] = {
    "FIELD": job_fields.LUA_FIELDS,
    "TASK_FIELD": keys.TASK_FIELDS,
    "TURN_FIELD": keys.TURN_FIELDS,
    "EVENT": {name: name for name in EVENTS},
    "STATUS": {status: status for status in STATUSES},
    "STAGE": {stage: stage for stage in STAGES},
    "ERROR_CODE": {error.code: error.code for error in _ERRORS},
    "ERROR_MESSAGE": {error.code: error.message for error in _ERRORS},
}

_LUA = Path(__file__).parent / "lua"

#: The files of `lua/lib/`. Each uses only those before it.
_LIBRARY = ("conversations", "counters", "tasks", "parts", "attempts")

_COMMENT = re.compile(r"--.*")

_WORD = re.compile(r"\w+")

_NAME = re.compile(rf"\b(?:({'|'.join(CATALOGUES)})\.(\w+)|({'|'.join(CONSTANTS)}))\b")


@dataclass(frozen=True)
class Script:
    """A script as Redis runs it."""

    source: str
    sha1: str
    """The digest by which EVALSHA names it."""


@cache
def load_scripts() -> dict[str, Script]:
    """Return every script by its name.

    Raises:
        LookupError: a script uses a name that its catalogue does not define.
    """
    sources = {path.stem: _assemble(path.read_text()) for path in sorted(_LUA.glob("*.lua"))}
    return {name: Script(source, hashlib.sha1(source.encode()).hexdigest()) for name, source in sources.items()}


def lua_literal(value: LuaValue) -> str:
    """Write a string, an integer or a list of them as Lua source.

    Raises:
        TypeError, ValueError: the value is of another type, or a string needs an escape.
    """
    if isinstance(value, list):
        return f"{{{', '.join(map(lua_literal, value))}}}"
    if isinstance(value, str):
        if not re.fullmatch(r"[ !#-&(-\[\]-~]*", value):  # printable ASCII without quotes and backslashes
            raise ValueError(f"{value!r} cannot be written to Lua without an escape")
        return f"'{value}'"
    if type(value) is not int:
        raise TypeError(f"{value!r} cannot be written to Lua")
    return str(value)


def _assemble(script: str) -> str:
    """Put the functions that a script uses before it, and write its constants out.

    Lua creates every function at each call of the script, with a reference to each outer variable that it uses. The
    whole library, with the constants as variables, took a tenth of a commit.
    """
    source = _COMMENT.sub("", script).strip() + "\n"
    used = set(_WORD.findall(source))
    for definition in reversed(_definitions()):  # a definition uses only those before it
        if definition.name in used:
            source = definition.source + source
            used |= definition.words
    return _NAME.sub(_write_out, source)


@dataclass(frozen=True)
class _Definition:
    """A function or a variable of the library."""

    name: str
    source: str
    words: frozenset[str]
    """Every word in the source, and so every name that it uses."""


@cache
def _definitions() -> list[_Definition]:
    """Return the top-level definitions of the library, in its order."""
    library = "".join((_LUA / "lib" / f"{name}.lua").read_text() for name in _LIBRARY)
    definitions = re.finditer(r"(?ms)^local (?:function )?(\w+).*?(?=^local |\Z)", _COMMENT.sub("", library))
    return [_Definition(each[1], each[0].strip() + "\n", frozenset(_WORD.findall(each[0]))) for each in definitions]


def _write_out(name: re.Match[str]) -> str:
    catalogue, entry, constant = name.groups()
    if constant is not None:
        return lua_literal(CONSTANTS[constant])
    try:
        return lua_literal(CATALOGUES[catalogue][entry])
    except KeyError:
        raise LookupError(f"a script uses {name[0]}, which is not defined") from None
