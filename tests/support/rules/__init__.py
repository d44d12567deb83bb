"""The repository's own rules, each a check that runs on any checkout: `python -m support.rules [FOLDER]`."""

from collections.abc import Callable
from pathlib import Path

from support.rules import (
    docstrings,
    environment,
    file_sizes,
    image_imports,
    import_cycles,
    log_events,
    volume_paths,
    words,
)
from support.rules.source import Violation

RULES: tuple[Callable[[Path], list[Violation]], ...] = (
    docstrings.check,
    environment.check,
    file_sizes.check,
    image_imports.check,
    import_cycles.check,
    log_events.check,
    volume_paths.check,
    words.check,
)
