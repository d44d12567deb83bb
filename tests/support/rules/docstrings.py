"""The first words of docstrings."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from support.rules.source import DEVELOPMENT, PRODUCT, Violation, files, parse, relative

#: A docstring that begins with one of these is a riddle, which names neither a thing nor an action to search for.
_RIDDLES = {"what", "whatever", "who", "whoever", "it", "they", "there", "how", "whether", "somebody", "nobody"}

_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def check(root: Path) -> list[Violation]:
    """A docstring begins with what the thing is or does. A string below a field is its docstring too."""
    return [
        Violation(relative(root, path), node.lineno, f"the docstring begins with {word!r}: say what it is or does")
        for path in files(root, PRODUCT + DEVELOPMENT, ".py")
        for node, text in _docstrings(parse(path))
        if (word := _first_word(text)).lower() in _RIDDLES
    ]


def _docstrings(tree: ast.Module) -> Iterator[tuple[ast.expr, str]]:
    for node in ast.walk(tree):
        if not isinstance(node, _DOCUMENTED):
            continue
        for statement in node.body:
            value = statement.value if isinstance(statement, ast.Expr) else None
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                yield value, value.value


def _first_word(text: str) -> str:
    match = re.match(r"\W*([A-Za-z]+)", text)
    return match[1] if match else ""
