"""Names of log events."""

import ast
import re
from pathlib import Path

from support.rules.source import PRODUCT, Violation, files, parse, relative

_LEVELS = {"debug", "info", "warning", "error", "critical", "exception"}

#: `log`, `_log`, `self._logger`, `structlog.get_logger()`, and what is bound to one of them.
_LOGGER = re.compile(r"(^|[._])log(ger)?\b|get_logger\(")

_EVENT = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")


def check(root: Path) -> list[Violation]:
    """A log event is a literal snake_case string, so that a line of a log can be searched for in the code."""
    return [
        Violation(relative(root, path), node.lineno, "the log event is not a literal snake_case string")
        for path in files(root, PRODUCT, ".py")
        for node in ast.walk(parse(path))
        if isinstance(node, ast.Call) and _is_log_call(node) and not _has_literal_event(node)
    ]


def _is_log_call(node: ast.Call) -> bool:
    return (
        isinstance(node.func, ast.Attribute)
        and node.func.attr in _LEVELS
        and bool(_LOGGER.search(ast.unparse(node.func.value)))
    )


def _has_literal_event(node: ast.Call) -> bool:
    first = node.args[0] if node.args else None
    return isinstance(first, ast.Constant) and isinstance(first.value, str) and bool(_EVENT.fullmatch(first.value))
