"""A check that uvicorn's private protocol is the one that `BoundedProtocol` was written for.

An overridden method that uvicorn no longer calls would silently switch a limit off.
"""

import inspect
from collections.abc import Mapping
from typing import Any

import uvicorn
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from shared.errors import StartupError
from shared.logs import get_logger

#: The version whose source was read; `api/requirements.txt` pins it. Read the source again before raising it.
VERIFIED_VERSION = "0.54.0"

#: The methods that are overridden or called, with their parameters.
_METHODS: Mapping[type, Mapping[str, tuple[str, ...]]] = {
    HttpToolsProtocol: {
        "connection_made": ("self", "transport"),
        "connection_lost": ("self", "exc"),
        "data_received": ("self", "data"),
        "on_message_begin": ("self",),
        "on_headers_complete": ("self",),
        "on_body": ("self", "body"),
        "on_response_complete": ("self",),
        "pause_writing": ("self",),
        "send_400_response": ("self", "msg"),
        "_start_asgi_task": ("self", "cycle", "app"),
    },
    FlowControl: {"__init__": ("self", "transport"), "resume_reading": ("self",)},
}

#: The attributes that are read or set, by the class whose `__init__` sets them.
_ATTRIBUTES: Mapping[type, frozenset[str]] = {
    HttpToolsProtocol: frozenset({"connections", "cycle", "flow", "headers", "loop", "pipeline", "transport"}),
    RequestResponseCycle: frozenset(
        {"disconnected", "keep_alive", "message_event", "response_complete", "response_started", "scope"}
    ),
    FlowControl: frozenset({"write_paused"}),
}

#: The calls that the limits rely on: the attributes that a method's code must use.
_CALLS: Mapping[str, frozenset[str]] = {
    "data_received": frozenset({"feed_data", "send_400_response"}),
    "on_message_begin": frozenset({"headers", "url"}),
    "on_headers_complete": frozenset({"_start_asgi_task", "pipeline", "appendleft", "pause_reading"}),
    "on_response_complete": frozenset({"_start_asgi_task", "pipeline", "pop", "resume_reading"}),
}


def check_uvicorn() -> None:
    """Compare the installed uvicorn with the one that was verified.

    Raises:
        StartupError: a method, attribute or call that the limits rely on is missing.
    """
    if differences := find_differences():
        raise StartupError(
            f"uvicorn {uvicorn.__version__} cannot enforce the limits of connections ({', '.join(differences)}). "
            f"Install uvicorn {VERIFIED_VERSION}."
        )
    if uvicorn.__version__ != VERIFIED_VERSION:
        get_logger().warning("uvicorn_unverified", installed=uvicorn.__version__, verified=VERIFIED_VERSION)


def find_differences() -> list[str]:
    """The names of methods, attributes and calls that differ from the verified version."""
    differences = []
    for owner, methods in _METHODS.items():
        for name, parameters in methods.items():
            method = getattr(owner, name, None)
            if method is None or tuple(inspect.signature(method).parameters) != parameters:
                differences.append(f"{owner.__name__}.{name}")
    for owner, attributes in _ATTRIBUTES.items():
        missing = attributes - _names_in(vars(owner)["__init__"])
        differences += [f"{owner.__name__}.{name}" for name in sorted(missing)]
    for method_name, names in _CALLS.items():
        missing = names - _names_in(getattr(HttpToolsProtocol, method_name))
        differences += [f"{name} in HttpToolsProtocol.{method_name}" for name in sorted(missing)]
    return differences


def _names_in(function: Any) -> set[str]:
    """The attributes that a function's code uses."""
    return set(function.__code__.co_names)
