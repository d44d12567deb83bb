"""Words of others on a terminal: as they are, and without power over it."""

from rich.text import Text


def plain(value: object) -> Text:
    """`value` without markup and emoji codes, its control characters escaped; nothing for None."""
    text = "" if value is None else str(value)
    return Text("".join(char if char.isprintable() or char == "\n" else _escaped(char) for char in text))


def _escaped(char: str) -> str:
    return char.encode("unicode_escape").decode()
