"""Cutting an answer while it is being written."""

import random

import pytest

from shared.text.sentence_splitter import SentenceSplitter, split


def cut(text: str, size: int, language: str = "en") -> list[list[str]]:
    """What comes with each piece of so many characters, and at last the rest."""
    segmenter = SentenceSplitter(language)
    given = [segmenter.push(text[start : start + size]) for start in range(0, len(text), size)]
    return [*given, segmenter.finish()]


def pieces(text: str, size: int = 4, language: str = "en") -> list[str]:
    return [piece for given in cut(text, size, language) for piece in given]


def test_the_first_clause_comes_early() -> None:
    """Whoever waits hears it while the sentence is still being written; whole sentences follow."""
    text = "The capital of France is Paris, which has about two million people, in fact. It lies on the Seine, a river."
    assert pieces(text) == [
        "The capital of France is Paris,",
        "which has about two million people, in fact.",
        "It lies on the Seine, a river.",
    ]
    segmenter = SentenceSplitter("en")
    assert segmenter.push("The capital of France is Paris, w") == ["The capital of France is Paris,"]


@pytest.mark.parametrize("text", ["Well, it depends on you.", "No, not that one. Yes, that one here."])
def test_a_first_clause_that_sounds_chopped_waits(text: str) -> None:
    """One word is none."""
    assert not pieces(text)[0].endswith(",")


def test_a_sentence_comes_as_soon_as_the_next_one_begins() -> None:
    """And not before: an abbreviation or a number may go on."""
    segmenter = SentenceSplitter("en")
    assert segmenter.push("You should ask Dr.") == []
    assert segmenter.push(" Smith about it. ") == []
    assert segmenter.push("He knows") == ["You should ask Dr. Smith about it."]
    assert segmenter.push(" 3.") == []
    assert segmenter.push("5 answers. He said") == ["He knows 3.5 answers."]


def test_a_short_sentence_goes_with_the_next_one() -> None:
    """It would sound chopped."""
    assert pieces("Yes. That is quite right. It rains again today.") == [
        "Yes. That is quite right.",
        "It rains again today.",
    ]


def test_a_paragraph_ends_a_sentence() -> None:
    """A heading without a full stop is not run into the text."""
    assert pieces("About the weather\n\nIt rains all day.") == ["About the weather", "It rains all day."]


@pytest.mark.parametrize("language", ["en", "de", "zh", "hi", ""])
@pytest.mark.parametrize("seed", range(25))
def test_no_word_is_lost_or_moved(language: str, seed: int) -> None:
    """However it comes, the pieces hold the same words in the same order, and none is empty."""
    chance = random.Random(seed)
    words = [
        "rain",
        "falls,",
        "Mr.",
        "3.50",
        "dollars.",
        "Why?",
        "No!",
        "U.S.",
        "B.",
        "—",
        "(so)",
        "好。",
        "है।",
        "e.g.",
    ]
    blanks = [" "] * 12 + ["  ", "\n", "\n\n", "\t", "\xa0", "\u2028", "\u3000"]
    text = "".join(chance.choice(words) + chance.choice(blanks) for _ in range(chance.randrange(1, 300)))
    given = pieces(text, chance.randrange(1, 30), language)
    assert " ".join(given).split() == text.split()
    assert all(given)


def test_the_end_comes_by_itself() -> None:
    """What is left when there is no more to come is cut like any text."""
    text = "It rains. It has rained all day long. It will rain tomorrow."
    assert cut(text, 1000) == [["It rains. It has rained all day long."], ["It will rain tomorrow."]]
    assert split(text, "en") == ["It rains. It has rained all day long.", "It will rain tomorrow."]
