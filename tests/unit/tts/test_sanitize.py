"""Text is made safe for engines that are written in C."""

import pytest

from shared.errors import InputError
from tts_worker.sanitize import MAX_CHARS, sanitize_for_engine


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("plain text, as it is.", "plain text, as it is."),
        ("two\n\nparagraphs", "two\n\nparagraphs"),
        ("a\0b", "a b"),
        ("\x01" + "400Sfast", "400Sfast"),
        ("half a \ud83d pair", "half a   pair"),
        ("run [[ -f file ]] now", "run   -f file   now"),
        ("[[[h@l'oU]]]", "h@l'oU"),
        ("one [bracket] stays", "one [bracket] stays"),
        ("naïve 日本 🙂", "naïve 日本 🙂"),
        (" \0 ", ""),
    ],
)
def test_only_what_an_engine_misreads_is_removed(text: str, spoken: str) -> None:
    """NUL, inline commands, lone surrogates and phoneme brackets go; everything that can be spoken stays."""
    assert sanitize_for_engine(text) == spoken


def test_a_book_is_refused() -> None:
    """A text that would fill the memory with sound is refused, in a sentence for the caller."""
    with pytest.raises(InputError, match=str(MAX_CHARS)):
        sanitize_for_engine("a" * (MAX_CHARS + 1))
