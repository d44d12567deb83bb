"""Finding an engine by its name, so that a third party's package can bring its own."""

from collections.abc import Callable
from importlib.metadata import entry_points
from typing import Any

from shared.errors import StartupError


def find_engine(stage: str, name: str) -> Callable[..., Any]:
    """The `load` function of the engine that is registered as `name` in the group `cascade.<stage>_engines`.

    The engine's module, and with it the model library, is imported here and not before.

    Raises:
        StartupError: no such engine is installed; the message lists those that are.
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
            f"{variable}={name} needs the package {error.name}, which is missing here. "
            f"Install it or set {variable} to another engine."
        ) from error
    return load
