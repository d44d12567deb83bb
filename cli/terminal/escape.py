"""Words of others on a terminal: as they are, and without power over it."""

from typing import TYPE_CHECKING
from unicodedata import category

if TYPE_CHECKING:
    from rich.text import Text

#: Line and column, which texts are laid out with, and the marks that join letters or part them.
_HARMLESS = "\n\t\u200c\u200d"


def plain(value: object) -> "Text":
    """`value` without markup and emoji codes, its control characters escaped; nothing for None."""
    from rich.text import Text  # not at the top: an error message needs `plain_text` alone

    return Text(plain_text(value))


def plain_text(value: object) -> str:
    """The same, for where no markup is understood."""
    text = "" if value is None else str(value)
    return "".join(char if _is_harmless(char) else _escaped(char) for char in text)


def _is_harmless(char: str) -> bool:
    return char.isprintable() or char in _HARMLESS or category(char) == "Zs"  # spaces, of any width


def _escaped(char: str) -> str:
    return char.encode("unicode_escape").decode()
