"""What is taken out of a text before an engine sees it, and how long it may be."""

import re

from shared.errors import InputError

#: More than half an hour of speech. The splitter never comes near it; it bounds memory should somebody send a book.
MAX_CHARS = 50_000

#: Some texts are far longer spoken than written: a line of nines, or of emoji, each of which is read out by its name.
MAX_SPEECH_S = 3600

#: NUL ends a C string early or is refused by it, \x01 begins one of eSpeak's inline commands (speed, voice), and a lone
#: surrogate cannot be encoded as UTF-8. New lines and tabs stay: they part paragraphs and words.
_UNSPEAKABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")

#: Piper, and eSpeak in some modes, take what stands in `[[double brackets]]` for raw phonemes. In an answer they are a
#: wiki link or a line of shell.
_DOUBLE_BRACKETS = re.compile(r"\[{2,}|\]{2,}")


def speakable(text: str) -> str:
    """`text` without what means something else than itself to an engine.

    Raises:
        InputError: it is longer than `MAX_CHARS`.
    """
    if len(text) > MAX_CHARS:
        raise too_long()
    return _DOUBLE_BRACKETS.sub(" ", _UNSPEAKABLE.sub(" ", text)).strip()


def too_long() -> InputError:
    return InputError(f"The text is too long to be spoken in one piece. Send at most {MAX_CHARS} characters.")
