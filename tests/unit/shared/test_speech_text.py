"""Segments of a Markdown text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.text.speech_text import SpeechText


def test_whole_text_is_split_into_sentences() -> None:
    """A Markdown text becomes segments of plain text, of which the first is short enough to be played early."""
    text = "# Our dinner tonight\n\nIt is **ready** for all, and it is still hot. Come and eat.\n\n- Bring a chair."
    assert SpeechText("en").finish(text) == [
        "Our dinner tonight",
        "It is ready for all, and it is still hot.",
        "Come and eat.",
        "Bring a chair.",
    ]


@pytest.mark.parametrize("text", ["🙂🙂", "```\ncode\n```", "...", "-"])
def test_text_without_words_is_kept(text: str) -> None:
    """A text of emoji, code or punctuation alone is its own segment: the caller asked for its speech."""
    assert SpeechText("").finish(text) == [" ".join(text.split())]


@given(st.text(min_size=1, max_size=300).filter(str.strip), st.sampled_from(["en", "zh", "xx", ""]))
def test_any_text_has_a_segment(text: str, language: str) -> None:
    """Any text that is not blank has a segment, and none is empty: a job without parts could not be joined."""
    segments = SpeechText(language).finish(text)
    assert segments
    assert all(segments)


@given(st.text(max_size=200), st.integers(1, 50))
def test_chunks_have_the_same_words_as_the_whole_text(text: str, size: int) -> None:
    """A text that is pushed in chunks has the same words as the whole text, in the same order."""
    streamed = SpeechText("en")
    segments = [segment for start in range(0, len(text), size) for segment in streamed.push(text[start : start + size])]
    segments += streamed.finish()
    assert "".join("".join(segments).split()) == "".join("".join(SpeechText("en").finish(text)).split())
