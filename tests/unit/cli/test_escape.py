"""Texts from others on a terminal."""

import io

import pytest
from rich.console import Console

from cli.terminal.escape import escape


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("foo[/v1] [bold]x[/]", "foo[/v1] [bold]x[/]"),
        (":heart:", ":heart:"),
        ("\x1b[31mred\x07", "\\x1b[31mred\\x07"),
        ("two\nlines, größer", "two\nlines, größer"),
        ("d\u00e9j\u00e0\u00a0vu\u202f!", "d\u00e9j\u00e0\u00a0vu\u202f!"),
        ("\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645", "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645"),
        ("\u202etxt.exe\u2028", "\\u202etxt.exe\\u2028"),
        ("a\tb", "a       b"),
        (7, "7"),
        (None, ""),
    ],
)
def test_markup_and_control_characters_have_no_effect(value: object, shown: str) -> None:
    """Rich's markup and emoji codes are shown as text, and control characters are escaped."""
    console = Console(file=io.StringIO(), force_terminal=True, width=80)
    console.print(escape(value), end="")
    assert console.file.getvalue() == shown  # type: ignore[attr-defined]
