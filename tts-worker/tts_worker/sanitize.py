"""Remove from a text what engines would misinterpret, and limit its length."""

import re

from shared.errors import InputError

#: More than half an hour of speech. The splitter's segments are far shorter; the limit bounds memory if a caller sends
#: a book.
MAX_CHARS = 50_000

#: Limit of the audio itself: the speech of a line of nines, or of emoji whose names are read out, is far longer than
#: its text.
MAX_SPEECH_S = 3600

#: NUL ends a C string early or is refused by it, \x01 begins one of eSpeak's inline commands (speed, voice), and a lone
#: surrogate cannot be encoded as UTF-8. Newlines and tabs stay: they separate paragraphs and words.
_CONTROL_CHARACTERS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")

#: Piper, and eSpeak in some modes, interpret text in `[[double brackets]]` as raw phonemes. In an answer they are a
#: wiki link or a line of shell.
_DOUBLE_BRACKETS = re.compile(r"\[{2,}|\]{2,}")


def sanitize_for_engine(text: str) -> str:
    """Replace the characters in `text` that an engine would interpret as commands or phonemes.

    Raises:
        InputError: the text is longer than `MAX_CHARS`.
    """
    if len(text) > MAX_CHARS:
        raise too_long_error()
    return _DOUBLE_BRACKETS.sub(" ", _CONTROL_CHARACTERS.sub(" ", text)).strip()


def too_long_error() -> InputError:
    """The error for a text that is too long, or whose speech would be."""
    return InputError(f"The text is too long for one segment of speech. Send at most {MAX_CHARS} characters.")
