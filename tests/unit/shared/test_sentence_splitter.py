"""Splitting a whole text into segments."""

import random

import pytest

from shared.text.sentence_splitter import split

LONG = 400
WORDS = ["rain", "falls,", "and", "Mr.", "Smith", "paid", "3.50", "dollars.", "Why?", "No!", "U.S.", "B.", "—", "(so)"]
BLANKS = [" "] * 12 + ["  ", "\n", "\n\n", "\t", "\xa0", "\u2028", "\u3000"]


def test_each_sentence_is_a_segment() -> None:
    """Each sentence is a segment; abbreviations, numbers and domains do not end one."""
    text = "Mr. Smith paid 3.50 dollars today.  Was that too much? He read it on example.org this morning!"
    assert split(text, "en") == [
        "Mr. Smith paid 3.50 dollars today.",
        "Was that too much?",
        "He read it on example.org this morning!",
    ]


@pytest.mark.parametrize("text", ["", " ", "\n\n\t \u2028"])
def test_blank_text_has_no_segment(text: str) -> None:
    """A text of blanks alone has no segment."""
    assert split(text, "en") == []


def test_very_short_sentence_joins_its_neighbour() -> None:
    """A very short sentence is merged with the next one, or at the end of the text with the one before."""
    assert split("Yes. That is quite right. Today it rains again. Bye.", "en") == [
        "Yes. That is quite right.",
        "Today it rains again. Bye.",
    ]
    assert split("No.", "en") == ["No."]


def test_paragraph_ends_a_sentence() -> None:
    """A heading without a full stop is a segment of its own."""
    assert split("About the weather\n\nIt rains\nall day.", "en") == ["About the weather", "It rains all day."]


@pytest.mark.parametrize(
    ("language", "text", "segments"),
    [
        ("zh", "今天的天气非常好！我们一起去公园吧？", ["今天的天气非常好！", "我们一起去公园吧？"]),
        ("hi", "आज मौसम बहुत अच्छा है। क्या हम बाहर चलें?", ["आज मौसम बहुत अच्छा है।", "क्या हम बाहर चलें?"]),
        ("de-AT", "Das kostet z. B. fünf Euro. Ist das viel?", ["Das kostet z. B. fünf Euro.", "Ist das viel?"]),
        ("xx", "One of the unknown. Another of them.", ["One of the unknown.", "Another of them."]),
        ("", "Language not known here. It still works.", ["Language not known here.", "It still works."]),
    ],
)
def test_every_language_is_split(language: str, text: str, segments: list[str]) -> None:
    """A text is split by the rules of its language, with a region or without; an unknown language by general rules."""
    assert split(text, language) == segments


def test_very_long_sentence_is_split_at_a_clause() -> None:
    """A sentence that is too long for one segment is split behind a comma."""
    text = "the rain falls on the hills and on the roofs, " * 30 + "and then it stops."
    segments = split(text, "en")
    assert max(map(len, segments)) <= LONG
    assert all(segment.endswith(("roofs,", "stops.")) for segment in segments)
    assert " ".join(segments).split() == text.split()


def test_sentence_without_commas_is_split_between_words() -> None:
    """A sentence that is too long and has no comma is split at a blank."""
    text = "word " * 500
    assert " ".join(split(text, "en")).split() == text.split()


def test_text_without_blanks_is_split() -> None:
    """A text without blanks is split by its width, in which wide characters count twice, and no character is lost."""
    text = "好" * 1000
    segments = split(text, "zh")
    assert max(map(len, segments)) <= LONG / 2
    assert "".join(segments) == text


@pytest.mark.parametrize("blank", ["\u2028", "\xa0", "\u3000", "\u202f"])
def test_unusual_blanks_do_not_crash_the_splitter(blank: str) -> None:
    """A blank of several bytes between a letter and a full stop, at which sentencex 1.0 panics, is split as usual."""
    assert split(f"Let us take plan{blank}B{blank}. It is the better one.", "en") == [
        "Let us take plan B .",
        "It is the better one.",
    ]


@pytest.mark.parametrize("language", ["en", "de", "fr", "th", ""])
@pytest.mark.parametrize("seed", range(20))
def test_whole_text_keeps_its_words(language: str, seed: int) -> None:
    """The segments of random text have the same words in the same order, and none is empty or too long."""
    chance = random.Random(seed)
    text = "".join(chance.choice(WORDS) + chance.choice(BLANKS) for _ in range(chance.randrange(1, 600)))
    segments = split(text, language)
    assert " ".join(segments).split() == text.split()
    assert all(0 < len(segment) <= LONG for segment in segments)
