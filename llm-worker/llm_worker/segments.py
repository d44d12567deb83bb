"""Cutting an answer into pieces that are spoken one by one."""

import re
from collections.abc import Iterator
from unicodedata import east_asian_width

from sentencex import segment  # type: ignore[import-untyped]

# Widths count a Chinese, Japanese or Korean character twice, since it says about as much as two or three Latin ones.
# Below this a piece sounds chopped, and costs a task of its own: "Yes." goes with its neighbour.
_SHORT = 12
# About half a minute of speech; a longer one would keep everybody waiting for a single task.
_LONG = 400

# Where to breathe in a sentence that is too long: behind these, with the blanks that follow. A point or comma inside
# a number is followed by a digit and not by a blank.
_CLAUSE_END = re.compile(r"(?:[,;:.!?…)]|\s[–—-])\s+|[、，；：。！？]\s*")
_BLANK = re.compile(r"\s+")
_PARAGRAPH = re.compile(r"\n\s*\n")


def mended(text: str) -> str:
    """`text` with the halves of characters put together, and U+FFFD for those whose other half is missing.

    JSON may write an emoji as two escapes, and a server that streams may send them apart. A half cannot be stored.
    """
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def split(text: str, language: str) -> list[str]:
    """The sentences of `text`, in order and without losing a word; blanks between them become single ones.

    Args:
        language: ISO 639-1; an unknown one is cut by general rules.
    """
    pieces = [clause for sentence in _sentences(mended(text), language) for clause in _clauses(sentence)]
    return [piece.strip() for piece in _merge_short(pieces)]


def _sentences(text: str, language: str) -> Iterator[str]:
    code = language.split("-")[0].lower()
    for paragraph in _PARAGRAPH.split(text):
        # sentencex 1.0 panics on a blank of several bytes between a single letter and a full stop ("Plan B\u00a0."),
        # with an exception that `except Exception` does not catch. `str.split` knows all of Unicode's blanks.
        words = " ".join(paragraph.split())
        if words:
            yield from segment(code, words + " ")


def _clauses(sentence: str) -> Iterator[str]:
    while (fits := _fitting(sentence)) < len(sentence):
        end = _breath(sentence, fits)
        yield sentence[:end]
        sentence = sentence[end:]
    yield sentence


def _breath(sentence: str, fits: int) -> int:
    """Where to cut: at the last clause that fits, else the last blank, else, as in a text without blanks, anywhere."""
    for boundary in (_CLAUSE_END, _BLANK):
        ends = [match.end() for match in boundary.finditer(sentence, 0, fits)]
        # Not right at the start: a cut there would only leave the same problem behind.
        if ends and ends[-1] * 4 >= fits:
            return ends[-1]
    return fits


def _fitting(sentence: str) -> int:
    width = 0
    for index, char in enumerate(sentence):
        width += _width(char)
        if width > _LONG:
            return index
    return len(sentence)


def _merge_short(pieces: list[str]) -> list[str]:
    merged: list[str] = []
    for piece in pieces:
        if merged and min(_width(merged[-1]), _width(piece)) < _SHORT and _width(merged[-1] + piece) <= _LONG:
            merged[-1] += piece
        else:
            merged.append(piece)
    return merged


def _width(text: str) -> int:
    return sum(2 if east_asian_width(char) in "WF" else 1 for char in text)
