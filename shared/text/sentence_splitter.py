"""Cutting an answer into pieces that are spoken one by one, while it is being written."""

import re
from collections.abc import Iterator
from unicodedata import east_asian_width

from sentencex import segment  # type: ignore[import-untyped]

# Widths count a Chinese, Japanese or Korean character twice, since it says about as much as two or three Latin ones.
# Below this a piece sounds chopped, and costs a task of its own: "Yes." goes with its neighbour.
_SHORT = 12
# The first clause of an answer is spoken by itself if it is at least this wide.
_FIRST = 20
# About half a minute of speech; a longer one would keep everybody waiting for a single task.
_LONG = 400

# Where to breathe in a sentence that is too long: behind these, with the blanks that follow. A point or comma inside
# a number is followed by a digit and not by a blank.
_CLAUSE_END = re.compile(r"(?:[,;:.!?…)]|\s[–—-])\s+|[、，；：。！？]\s*")
_BREATH = re.compile(r"(?:[,;:)]|\s[–—-])\s+|[、，；：]\s*")
_BLANK = re.compile(r"\s+")
_PARAGRAPH = re.compile(r"\n\s*\n")


def replace_lone_surrogates(text: str) -> str:
    """`text` with the halves of characters put together, and U+FFFD for those whose other half is missing.

    JSON may write an emoji as two escapes. A half cannot be stored.
    """
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


class SentenceSplitter:
    """Cuts a text into sentences while it is being written; of the first one, the first clause that does not sound
    chopped comes by itself, so that whoever waits hears it early. No word is lost; blanks become single ones."""

    def __init__(self, language: str) -> None:
        """`language` is an ISO 639-1 code; an unknown one is cut by general rules."""
        self._language = language
        self._rest = ""
        self._begun = False

    def push(self, text: str) -> list[str]:
        """The pieces that are certain now that this has come."""
        self._rest += text
        *before, paragraph = _PARAGRAPH.split(self._rest)
        *ended, last = list(_sentences(paragraph, self._language)) or [""]
        if ended and not _shows_a_beginning(last):
            last = ended.pop() + last
        whole = [sentence for text in before for sentence in _sentences(text, self._language)]
        *clauses, last = [clause for sentence in [*whole, *ended, last] for clause in _clauses(sentence)]
        pieces = _merge_short(clauses)
        if pieces and _width(pieces[-1]) < _SHORT:
            last = pieces.pop() + last
        if not pieces and not self._begun and (end := _first_clause(last)):
            pieces, last = [last[:end]], last[end:]
        # What is written next goes on here; a blank between the two is one only if it was written.
        self._rest = last if not paragraph or paragraph[-1].isspace() else last.rstrip()
        return self._given(pieces)

    def finish(self) -> list[str]:
        """The rest."""
        return self._given(split(self._rest, self._language))

    def _given(self, pieces: list[str]) -> list[str]:
        if pieces and not self._begun:
            self._begun = True
            end = _first_clause(pieces[0])
            if end and _width(pieces[0][end:]) >= _SHORT:
                pieces[:1] = [pieces[0][:end], pieces[0][end:]]
        return [piece.strip() for piece in pieces]


def split(text: str, language: str) -> list[str]:
    """All pieces of a whole text."""
    pieces = [clause for sentence in _paragraph_sentences(text, language) for clause in _clauses(sentence)]
    return [piece.strip() for piece in _merge_short(pieces)]


def _shows_a_beginning(sentence: str) -> bool:
    """Whether so much of it is there that it is one for certain: its first letters may still show that the one before
    goes on."""
    return len(sentence.split()) > 1 or _width(sentence) > _SHORT


def _first_clause(text: str) -> int:
    """Where the first clause ends that is long enough; 0 if none does yet."""
    ends = (match.end() for match in _BREATH.finditer(text))
    return next((end for end in ends if _width(text[:end].strip()) >= _FIRST and text[end:]), 0)


def _paragraph_sentences(text: str, language: str) -> Iterator[str]:
    for paragraph in _PARAGRAPH.split(text):
        yield from _sentences(paragraph, language)


def _sentences(paragraph: str, language: str) -> Iterator[str]:
    # sentencex 1.0 panics on a blank of several bytes between a single letter and a full stop ("Plan B\u00a0."), with
    # an exception that `except Exception` does not catch. `str.split` knows all of Unicode's blanks.
    words = " ".join(paragraph.split())
    if words:
        yield from segment(language.split("-")[0].lower(), words + " ")


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
