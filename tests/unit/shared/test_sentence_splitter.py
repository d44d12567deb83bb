"""Cutting an answer into spoken pieces."""

import random

import pytest

from shared.text.sentence_splitter import split

LONG = 400
WORDS = ["rain", "falls,", "and", "Mr.", "Smith", "paid", "3.50", "dollars.", "Why?", "No!", "U.S.", "B.", "—", "(so)"]
BLANKS = [" "] * 12 + ["  ", "\n", "\n\n", "\t", "\xa0", "\u2028", "\u3000"]


def test_each_sentence_is_a_piece() -> None:
    """Abbreviations, numbers and addresses do not end one."""
    text = "Mr. Smith paid 3.50 dollars today.  Was that too much? He read it on example.org this morning!"
    assert split(text, "en") == [
        "Mr. Smith paid 3.50 dollars today.",
        "Was that too much?",
        "He read it on example.org this morning!",
    ]


@pytest.mark.parametrize("text", ["", " ", "\n\n\t \u2028"])
def test_nothing_is_no_piece(text: str) -> None:
    """Blanks are nothing to say."""
    assert split(text, "en") == []


def test_a_very_short_sentence_joins_its_neighbour() -> None:
    """The one after it, or at the end the one before it."""
    assert split("Yes. That is quite right. Today it rains again. Bye.", "en") == [
        "Yes. That is quite right.",
        "Today it rains again. Bye.",
    ]
    assert split("No.", "en") == ["No."]


def test_a_paragraph_ends_a_sentence() -> None:
    """A heading without a full stop is not run into the text."""
    assert split("About the weather\n\nIt rains\nall day.", "en") == ["About the weather", "It rains all day."]


@pytest.mark.parametrize(
    ("language", "text", "pieces"),
    [
        ("zh", "今天的天气非常好！我们一起去公园吧？", ["今天的天气非常好！", "我们一起去公园吧？"]),
        ("hi", "आज मौसम बहुत अच्छा है। क्या हम बाहर चलें?", ["आज मौसम बहुत अच्छा है।", "क्या हम बाहर चलें?"]),
        ("de-AT", "Das kostet z. B. fünf Euro. Ist das viel?", ["Das kostet z. B. fünf Euro.", "Ist das viel?"]),
        ("xx", "One of the unknown. Another of them.", ["One of the unknown.", "Another of them."]),
        ("", "Language not known here. It still works.", ["Language not known here.", "It still works."]),
    ],
)
def test_every_language_is_cut(language: str, text: str, pieces: list[str]) -> None:
    """By its own rules, with a region or without; an unknown one by general rules."""
    assert split(text, language) == pieces


def test_an_endless_sentence_is_cut_at_a_clause() -> None:
    """No piece is too long to wait for, and the cut is where one breathes."""
    text = "the rain falls on the hills and on the roofs, " * 30 + "and then it stops."
    pieces = split(text, "en")
    assert max(map(len, pieces)) <= LONG
    assert all(piece.endswith(("roofs,", "stops.")) for piece in pieces)
    assert " ".join(pieces).split() == text.split()


def test_a_sentence_without_commas_is_cut_between_words() -> None:
    """No word is torn while there are blanks."""
    text = "word " * 500
    assert " ".join(split(text, "en")).split() == text.split()


def test_a_text_without_blanks_is_cut_all_the_same() -> None:
    """Wide characters count twice, and nothing is lost."""
    text = "好" * 1000
    pieces = split(text, "zh")
    assert max(map(len, pieces)) <= LONG / 2
    assert "".join(pieces) == text


@pytest.mark.parametrize("blank", ["\u2028", "\xa0", "\u3000", "\u202f"])
def test_no_blank_brings_the_splitter_down(blank: str) -> None:
    """sentencex 1.0 panics on these between a letter and a full stop; we never let it see them."""
    assert split(f"Let us take plan{blank}B{blank}. It is the better one.", "en") == [
        "Let us take plan B .",
        "It is the better one.",
    ]


@pytest.mark.parametrize("language", ["en", "de", "fr", "th", ""])
@pytest.mark.parametrize("seed", range(20))
def test_no_word_is_lost_or_moved(language: str, seed: int) -> None:
    """Whatever comes, the pieces hold the same words in the same order, and none is empty or too long."""
    chance = random.Random(seed)
    text = "".join(chance.choice(WORDS) + chance.choice(BLANKS) for _ in range(chance.randrange(1, 600)))
    pieces = split(text, language)
    assert " ".join(pieces).split() == text.split()
    assert all(0 < len(piece) <= LONG for piece in pieces)
