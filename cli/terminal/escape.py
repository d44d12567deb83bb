"""Texts from others, made safe to show on a terminal."""

from typing import TYPE_CHECKING
from unicodedata import category

if TYPE_CHECKING:
    from rich.text import Text

#: Line feeds and tabs lay a text out; the zero-width joiner and non-joiner shape the letters of some scripts.
_HARMLESS = "\n\t\u200c\u200d"


def escape(value: object) -> "Text":
    """Return `value` for rich, with control characters escaped and markup and emoji codes left as text; empty for
    None."""
    from rich.text import Text  # not at the top: an error message needs only `escape_text`

    return Text(escape_text(value))


def escape_text(value: object) -> str:
    """Return `value` as a string with its control characters escaped; empty for None."""
    text = "" if value is None else str(value)
    return "".join(char if _is_harmless(char) else _escape_char(char) for char in text)


def _is_harmless(char: str) -> bool:
    return char.isprintable() or char in _HARMLESS or category(char) == "Zs"  # Zs: spaces of any width


def _escape_char(char: str) -> str:
    return char.encode("unicode_escape").decode()
