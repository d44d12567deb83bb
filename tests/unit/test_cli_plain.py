"""What others have written, on a terminal."""

import io

import pytest
from rich.console import Console

from cli.plain import plain


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("foo[/v1] [bold]x[/]", "foo[/v1] [bold]x[/]"),
        (":heart:", ":heart:"),
        ("\x1b[31mred\x07", "\\x1b[31mred\\x07"),
        ("two\nlines, größer", "two\nlines, größer"),
        (7, "7"),
        (None, ""),
    ],
)
def test_it_is_shown_and_not_obeyed(value: object, shown: str) -> None:
    """Neither rich's own marks nor a terminal's mean anything in it."""
    console = Console(file=io.StringIO(), force_terminal=True, width=80)
    console.print(plain(value), end="")
    assert console.file.getvalue() == shown  # type: ignore[attr-defined]
