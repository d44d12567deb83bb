"""The private vocabulary: ordinary words that the code once used in a sense of its own."""

import re
from collections.abc import Iterator
from pathlib import Path

from support.rules.source import DEVELOPMENT, PRODUCT, Violation, files, relative

#: Also as a part of a name: `_` is no letter.
_WORDS = re.compile(
    r"(?<![a-z])(told|anew|whoever|somebody|nobody|to be had|in vain|set aside)(?![a-z])", re.IGNORECASE
)

#: What people and models are said in plain English: an instruction to the model, and what users ask the offline engine.
_NATURAL = re.compile(r"unless you were told otherwise|tell\|told")

_SUFFIXES = (".py", ".lua", ".js", ".html", ".css", ".md", ".toml", ".yml", ".sh")

#: What was released stays as it was written; the checks and their tests have to name the words.
_EXEMPT = {
    "CHANGELOG.md",
    "tests/support/rules/docstrings.py",
    "tests/support/rules/words.py",
    "tests/unit/repository/test_rules.py",
}


def check(root: Path) -> list[Violation]:
    """The field has words of its own for these."""
    return [
        Violation(relative(root, path), number, f"{word!r} is used in a sense of our own; use the field's word")
        for path in _texts(root)
        if relative(root, path) not in _EXEMPT
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        for word in _WORDS.findall(_NATURAL.sub("", line))
    ]


def _texts(root: Path) -> Iterator[Path]:
    yield from files(root, (*PRODUCT, *DEVELOPMENT, "docs"), *_SUFFIXES)
    yield from (path for path in sorted(root.iterdir()) if path.suffix in _SUFFIXES or path.name == ".env.example")
    yield from (path for name in ("Makefile", "*/Dockerfile") for path in sorted(root.glob(name)))
