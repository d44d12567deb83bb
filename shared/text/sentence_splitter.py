"""Split a text into sentences for speech synthesis, while it is being written."""

import re
from collections.abc import Iterator
from unicodedata import east_asian_width

import sentencex  # type: ignore[import-untyped]

# Widths count a Chinese, Japanese or Korean character twice, since it takes about as long to speak as two or three
# Latin letters.

#: A narrower segment sounds chopped, and costs a task of its own: "Yes." is merged with its neighbour.
_MIN_WIDTH = 12

#: The first clause of a text is a segment of its own if it is at least this wide.
_MIN_FIRST_CLAUSE_WIDTH = 20

#: About half a minute of speech; a wider segment would delay all other jobs by a single task.
_MAX_WIDTH = 400

#: The end of a clause, where a sentence that is too wide is cut, with the blanks that follow. A point or comma inside a
#: number is followed by a digit and not by a blank.
_CLAUSE_END = re.compile(r"(?:[,;:.!?…)]|\s[–—-])\s+|[、，；：。！？]\s*")
#: The end of a clause within a sentence, where the first sentence may be cut.
_INNER_CLAUSE_END = re.compile(r"(?:[,;:)]|\s[–—-])\s+|[、，；：]\s*")
_BLANK = re.compile(r"\s+")
_PARAGRAPH = re.compile(r"\n\s*\n")


def replace_lone_surrogates(text: str) -> str:
    """Combine the surrogate pairs in `text`, and replace each lone surrogate by U+FFFD.

    JSON may write an emoji as two escapes. A lone surrogate cannot be stored.
    """
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


class SentenceSplitter:
    """Splits a growing text into sentences. The first clause of the first sentence is a segment of its own unless it
    would sound chopped, so that playback starts early. No word is lost; any run of blanks becomes one space."""

    def __init__(self, language: str) -> None:
        """`language` is an ISO 639-1 code; an unknown one is split by general rules."""
        self._language = language
        self._rest = ""
        self._has_segments = False

    def push(self, text: str) -> list[str]:
        """Append `text`; return the segments that are certain by now."""
        text = self._rest + text
        sentences, open_sentence = _complete_sentences(text, self._language)
        segments, rest = _complete_segments(sentences, open_sentence)
        if not segments and not self._has_segments:
            segments, rest = _split_first_clause(rest)
        # The next text continues here, with a blank in between only if the input has one.
        self._rest = rest if text[-1:].isspace() else rest.rstrip()
        return self._emit(segments)

    def finish(self) -> list[str]:
        """Return the remaining segments."""
        return self._emit(split(self._rest, self._language))

    def _emit(self, segments: list[str]) -> list[str]:
        if segments and not self._has_segments:
            self._has_segments = True
            first_clause, remainder = _split_first_clause(segments[0])
            if _width(remainder) >= _MIN_WIDTH:
                segments = [*first_clause, remainder, *segments[1:]]
        return [segment.strip() for segment in segments]


def split(text: str, language: str) -> list[str]:
    """The segments of a whole text."""
    sentences = _paragraph_sentences(text, language)
    clauses = [clause for sentence in sentences for clause in _clauses(sentence)]
    return [segment.strip() for segment in _merge_short(clauses)]


def _complete_sentences(text: str, language: str) -> tuple[list[str], str]:
    """The sentences that have certainly ended, and the text that may continue."""
    *ended_paragraphs, open_paragraph = _PARAGRAPH.split(text)
    sentences = [sentence for paragraph in ended_paragraphs for sentence in _sentences(paragraph, language)]
    open_sentences = list(_sentences(open_paragraph, language))
    # A sentence's first letters may still show that it continues the one before.
    open_count = 1 if open_sentences and _is_certain_start(open_sentences[-1]) else 2
    return sentences + open_sentences[:-open_count], "".join(open_sentences[-open_count:])


def _is_certain_start(text: str) -> bool:
    """Return True if `text` is long enough to be the start of a sentence for certain."""
    return len(text.split()) > 1 or _width(text) > _MIN_WIDTH


def _complete_segments(sentences: list[str], open_sentence: str) -> tuple[list[str], str]:
    """The segments of the sentences that are wide enough, and the text that may continue."""
    *clauses, rest = [clause for sentence in [*sentences, open_sentence] for clause in _clauses(sentence)]
    segments = _merge_short(clauses)
    if segments and _width(segments[-1]) < _MIN_WIDTH:
        rest = segments.pop() + rest
    return segments, rest


def _split_first_clause(text: str) -> tuple[list[str], str]:
    """The first clause that is wide enough to be a segment, if there is one yet, and the rest of `text`."""
    for match in _INNER_CLAUSE_END.finditer(text):
        clause, rest = text[: match.end()], text[match.end() :]
        if rest and _width(clause.strip()) >= _MIN_FIRST_CLAUSE_WIDTH:
            return [clause], rest
    return [], text


def _paragraph_sentences(text: str, language: str) -> Iterator[str]:
    for paragraph in _PARAGRAPH.split(text):
        yield from _sentences(paragraph, language)


def _sentences(paragraph: str, language: str) -> Iterator[str]:
    # sentencex 1.0 panics on a blank of several bytes between a single letter and a full stop ("Plan B\u00a0."), with
    # an exception that `except Exception` does not catch. `str.split` knows all of Unicode's blanks.
    words = " ".join(paragraph.split())
    if words:
        yield from sentencex.segment(language.split("-")[0].lower(), words + " ")


def _clauses(sentence: str) -> Iterator[str]:
    """Cut a sentence wherever it would be too wide."""
    while (max_end := _max_prefix(sentence)) < len(sentence):
        end = _split_point(sentence, max_end)
        yield sentence[:end]
        sentence = sentence[end:]
    yield sentence


def _split_point(sentence: str, max_end: int) -> int:
    """The index to cut at, up to `max_end`: after the last clause, else the last blank, else `max_end` itself."""
    for boundary in (_CLAUSE_END, _BLANK):
        ends = [match.end() for match in boundary.finditer(sentence, 0, max_end)]
        # Not in the first quarter: a cut there would leave nearly the same sentence to cut again.
        if ends and ends[-1] * 4 >= max_end:
            return ends[-1]
    return max_end


def _max_prefix(sentence: str) -> int:
    """The length of the longest prefix that is not too wide."""
    width = 0
    for index, char in enumerate(sentence):
        width += _width(char)
        if width > _MAX_WIDTH:
            return index
    return len(sentence)


def _merge_short(clauses: list[str]) -> list[str]:
    """Append each clause to the one before if either is narrow and both fit into one segment."""
    segments: list[str] = []
    for clause in clauses:
        is_narrow = bool(segments) and min(_width(segments[-1]), _width(clause)) < _MIN_WIDTH
        if is_narrow and _width(segments[-1] + clause) <= _MAX_WIDTH:
            segments[-1] += clause
        else:
            segments.append(clause)
    return segments


def _width(text: str) -> int:
    return sum(2 if east_asian_width(char) in "WF" else 1 for char in text)
