"""Removal of Markdown."""

import random

import pytest

from shared.text.markdown_filter import MarkdownFilter, strip_inline


def filtered(*chunks: str) -> str:
    """The filter's text with single blanks, and paragraphs separated by a bar."""
    markdown_filter = MarkdownFilter()
    whole = "".join(map(markdown_filter.push, chunks)) + markdown_filter.finish()
    return " | ".join(" ".join(part.split()) for part in whole.split("\n\n") if part.strip())


@pytest.mark.parametrize(
    ("markdown", "text"),
    [
        ("It rains.\nAll day.", "It rains. All day."),
        ("# Weather\nIt rains.", "Weather | It rains."),
        ("Before:\n- one\n* two\n+ [x] three\n• four", "Before: | one | two | three | four"),
        ("1. First\n2) Second", "1. First | 2) Second"),
        ("42. That is all.", "42. That is all."),
        ("> Said she.\n> > Said he.", "Said she. | Said he."),
        ("Run this:\n```sh\nrm -rf /\n# not a heading\n```\nDone.", "Run this: | Done."),
        ("~~~\ncode\n~~~\nAfter.", "After."),
        ("Unclosed:\n```\ncode", "Unclosed:"),
        ("| day | rain |\n|-----|:----:|\n| Monday | 3 mm |", "day, rain | Monday, 3 mm"),
        ("One.\n\n---\n\nTwo.", "One. | Two."),
        ("Title\n=====\nText.", "Title | Text."),
        ("-5 degrees, or *so*.", "-5 degrees, or *so*."),
        ("A line\r\nand another.", "A line and another."),
        ("", ""),
    ],
)
@pytest.mark.parametrize("size", [1, 3, 1000])
def test_blocks_are_removed_and_their_text_kept(markdown: str, text: str, size: int) -> None:
    """Blocks lose their marks and code whatever the size of the chunks."""
    chunks = [markdown[start : start + size] for start in range(0, len(markdown), size)]
    assert filtered(*chunks) == text


def test_text_line_is_returned_before_it_ends() -> None:
    """The text of a line is returned before the line ends: models write whole paragraphs on one line."""
    markdown_filter = MarkdownFilter()
    assert markdown_filter.push("The rain") == "The rain"
    assert markdown_filter.push(" falls.") == " falls."
    assert markdown_filter.push("\n-") == "\n"
    assert markdown_filter.push(" on") == "\n\non"


@pytest.mark.parametrize(
    ("sentence", "text"),
    [
        ("**Bold** and *leaning* and `code` and ~~gone~~.", "Bold and leaning and code and gone."),
        ("**Only the beginning.", "Only the beginning."),
        ("** And its end is here.", "And its end is here."),
        ("It is 2 * 3 * 4, or 2*3.", "It is 2 * 3 * 4, or 2*3."),
        ("The file_name_here stays.", "The file_name_here stays."),
        ("See [the manual](https://example.org/a_b?c=d).", "See the manual."),
        ("See https://www.example.org/a/b?c=d.", "See example.org."),
        ("See <https://example.org/a>, then go.", "See example.org, then go."),
        ("![A cat](cat.png) sleeps.", "A cat sleeps."),
        ("A<br>line &amp; more<b>!</b>", "Aline & more!"),
        ("Great 🎉! Well done 👍🏽.", "Great! Well done."),
        ("It is 21 °C, © 2026, 5 €.", "It is 21 °C, © 2026, 5 €."),
        ("🎉", ""),
        ("—", ""),
        ("", ""),
    ],
)
def test_inline_marks_are_removed(sentence: str, text: str) -> None:
    """A sentence loses its inline marks, URLs and emoji, but keeps numbers and units."""
    assert strip_inline(sentence) == text


@pytest.mark.parametrize("seed", range(30))
def test_any_markdown_is_filtered(seed: int) -> None:
    """Random characters raise no exception, and the size of the chunks does not change the text."""
    chance = random.Random(seed)
    markdown = "".join(chance.choice("ab. \n#*_`~|->[](){}<>&\\1\t\r🎉é") for _ in range(300))
    cuts = sorted(chance.sample(range(300), 20))
    chunks = [markdown[start:end] for start, end in zip([0, *cuts], [*cuts, 300], strict=True)]
    assert filtered(*chunks) == filtered(markdown)
    strip_inline(markdown)
