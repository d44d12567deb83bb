"""Environment variables that the command line reads for an option."""

import ast
from pathlib import Path

from support.rules.source import PRODUCT, Violation, files, parse, relative


def check(root: Path) -> list[Violation]:
    """Only settings.py files name environment variables. ruff holds this for `os.environ`; this check is for typer's
    `envvar`, which reads the environment out of ruff's sight."""
    return [
        Violation(relative(root, path), node.value.lineno, "reads the environment; only a settings.py may")
        for path in files(root, PRODUCT, ".py")
        if path.name != "settings.py"
        for node in ast.walk(parse(path))
        if isinstance(node, ast.keyword) and node.arg == "envvar"
    ]
