"""Lookup of an engine by its name among entry points, so that third-party packages can add engines."""

from collections.abc import Callable
from importlib.metadata import entry_points
from typing import Any

from shared.errors import StartupError


def find_engine(stage: str, name: str) -> Callable[..., Any]:
    """Return the `load` function of the engine `name` in the entry point group `cascade.<stage>_engines`.

    The engine's module, and with it the model library, is imported here, not earlier.

    Raises:
        StartupError: no such engine is installed (the message lists those that are), or its package is missing.
    """
    registered = {entry.name: entry for entry in entry_points(group=f"cascade.{stage}_engines")}
    variable = f"{stage.upper()}_ENGINE"
    if name not in registered:
        raise StartupError(
            f"{variable}={name} is not installed. Set {variable} to one of: {', '.join(sorted(registered))}."
        )
    try:
        load: Callable[..., Any] = registered[name].load()
    except ImportError as error:
        raise StartupError(
            f"{variable}={name} needs the package {error.name}, which is not installed. "
            f"Install it or set {variable} to another engine."
        ) from error
    return load
