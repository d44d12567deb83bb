"""Removal of characters that engines misinterpret."""

import pytest

from shared.errors import InputError
from tts_worker.sanitize import MAX_CHARS, sanitize_for_engine


@pytest.mark.parametrize(
    ("text", "sanitized"),
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
def test_only_misinterpreted_characters_are_removed(text: str, sanitized: str) -> None:
    """NUL, inline commands, lone surrogates and phoneme brackets are removed; all other characters stay."""
    assert sanitize_for_engine(text) == sanitized


def test_very_long_text_is_rejected() -> None:
    """A text beyond the limit raises an error for the caller that names the limit."""
    with pytest.raises(InputError, match=str(MAX_CHARS)):
        sanitize_for_engine("a" * (MAX_CHARS + 1))
