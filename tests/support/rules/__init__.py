"""The repository's own rules, each a check that runs on any checkout: `python -m support.rules [FOLDER]`."""

from collections.abc import Callable
from pathlib import Path

from support.rules import environment, image_imports, import_cycles, log_events, volume_paths
from support.rules.source import Violation

RULES: tuple[Callable[[Path], list[Violation]], ...] = (
    environment.check,
    image_imports.check,
    import_cycles.check,
    log_events.check,
    volume_paths.check,
)
