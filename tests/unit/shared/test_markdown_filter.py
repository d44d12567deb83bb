"""What of an answer is said."""

import random

import pytest

from shared.text.markdown_filter import MarkdownFilter, strip_inline


def prose(*pieces: str) -> str:
    """What is given out, blanks made single ones, paragraphs parted by a bar."""
    text = MarkdownFilter()
    whole = "".join(map(text.push, pieces)) + text.finish()
    return " | ".join(" ".join(part.split()) for part in whole.split("\n\n") if part.strip())


@pytest.mark.parametrize(
    ("markdown", "said"),
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
def test_blocks_leave_their_text(markdown: str, said: str, size: int) -> None:
    """Whatever the pieces are in which it comes."""
    pieces = [markdown[start : start + size] for start in range(0, len(markdown), size)]
    assert prose(*pieces) == said


def test_a_line_of_text_is_given_out_before_it_ends() -> None:
    """Models write whole paragraphs without a line's end: nobody could wait for that."""
    text = MarkdownFilter()
    assert text.push("The rain") == "The rain"
    assert text.push(" falls.") == " falls."
    assert text.push("\n-") == "\n"
    assert text.push(" on") == "\n\non"


@pytest.mark.parametrize(
    ("sentence", "said"),
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
def test_marks_are_not_said(sentence: str, said: str) -> None:
    """Numbers and units are left to the voice."""
    assert strip_inline(sentence) == said


@pytest.mark.parametrize("seed", range(30))
def test_nothing_brings_it_down(seed: int) -> None:
    """Whatever a model writes, in whatever pieces, and the pieces make no difference."""
    chance = random.Random(seed)
    markdown = "".join(chance.choice("ab. \n#*_`~|->[](){}<>&\\1\t\r🎉é") for _ in range(300))
    cuts = sorted(chance.sample(range(300), 20))
    pieces = [markdown[start:end] for start, end in zip([0, *cuts], [*cuts, 300], strict=True)]
    assert prose(*pieces) == prose(markdown)
    strip_inline(markdown)
