"""Splitting a text while it is being written."""

import random

import pytest

from shared.text.sentence_splitter import SentenceSplitter, split


def push_chunks(text: str, size: int, language: str = "en") -> list[list[str]]:
    """The segments that each chunk of `size` characters completes, and at last the remaining ones."""
    splitter = SentenceSplitter(language)
    completed = [splitter.push(text[start : start + size]) for start in range(0, len(text), size)]
    return [*completed, splitter.finish()]


def segments_of(text: str, size: int = 4, language: str = "en") -> list[str]:
    return [segment for completed in push_chunks(text, size, language) for segment in completed]


def test_first_clause_is_returned_early() -> None:
    """The first clause is returned while its sentence is being written; whole sentences follow."""
    text = "The capital of France is Paris, which has about two million people, in fact. It lies on the Seine, a river."
    assert segments_of(text) == [
        "The capital of France is Paris,",
        "which has about two million people, in fact.",
        "It lies on the Seine, a river.",
    ]
    splitter = SentenceSplitter("en")
    assert splitter.push("The capital of France is Paris, w") == ["The capital of France is Paris,"]


@pytest.mark.parametrize("text", ["Well, it depends on you.", "No, not that one. Yes, that one here."])
def test_short_first_clause_is_not_a_segment(text: str) -> None:
    """A first clause of one or a few words stays with its sentence."""
    assert not segments_of(text)[0].endswith(",")


def test_sentence_is_returned_when_the_next_one_begins() -> None:
    """A sentence is returned once the next one begins, and not before: an abbreviation or a number may continue."""
    splitter = SentenceSplitter("en")
    assert splitter.push("You should ask Dr.") == []
    assert splitter.push(" Smith about it. ") == []
    assert splitter.push("He knows") == ["You should ask Dr. Smith about it."]
    assert splitter.push(" 3.") == []
    assert splitter.push("5 answers. He said") == ["He knows 3.5 answers."]


def test_short_sentence_joins_the_next_one() -> None:
    """A very short sentence is merged with the next one, since it would sound chopped."""
    assert segments_of("Yes. That is quite right. It rains again today.") == [
        "Yes. That is quite right.",
        "It rains again today.",
    ]


def test_paragraph_ends_a_sentence() -> None:
    """A heading without a full stop is a segment of its own."""
    assert segments_of("About the weather\n\nIt rains all day.") == ["About the weather", "It rains all day."]


@pytest.mark.parametrize("language", ["en", "de", "zh", "hi", ""])
@pytest.mark.parametrize("seed", range(25))
def test_streamed_text_keeps_its_words(language: str, seed: int) -> None:
    """The segments of random text in random chunks have the same words in the same order, and none is empty."""
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
    segments = segments_of(text, chance.randrange(1, 30), language)
    assert " ".join(segments).split() == text.split()
    assert all(segments)


def test_finish_splits_the_rest() -> None:
    """The text that remains at the end is split like any whole text."""
    text = "It rains. It has rained all day long. It will rain tomorrow."
    assert push_chunks(text, 1000) == [["It rains. It has rained all day long."], ["It will rain tomorrow."]]
    assert split(text, "en") == ["It rains. It has rained all day long.", "It will rain tomorrow."]
