"""What of an answer is to be said: models write Markdown, whatever they are told."""

import re
from collections.abc import Iterator

from emoji import replace_emoji
from markdown_it import MarkdownIt
from markdown_it.token import Token

_MARKDOWN = MarkdownIt("commonmark").enable("strikethrough")

#: A line that may yet turn out to begin a block.
_UNDECIDED = re.compile(
    r"\s*(?:(?:```|~~~|\|).*|`{0,2}|~{0,2}|[-+*=_•#>\s]*(?:\[[ xX]?\]?\s*)?|\d{1,3}[.)]?)", re.DOTALL
)
_FENCE = re.compile(r"\s*(`{3,}|~{3,})")
_RULE = re.compile(r"\s*(?:[-*_=]\s*){2,}|\s*\|?[\s:|-]*-{2,}[\s:|-]*")
_ROW = re.compile(r"\s*\|(.*?)\|?\s*")
#: Marks of lists, headings and quotes. Numbers of a list stay: they are worth hearing, and may be the answer itself.
_MARKS = re.compile(r"\s*(?:(?:[-+*•]\s+(?:\[[ xX]\]\s+)?|#{1,6}\s+|>\s?)\s*)+")
_NUMBERED = re.compile(r"\s*\d{1,3}[.)]\s")

#: Of an address its host is said. What ends the sentence is no part of it.
_URL = re.compile(r"\bhttps?://(?:www\.)?([^\s/?#]+)\S*?(?=[.,;:!?)\]]*(?:\s|$))")
#: Marks of emphasis whose other half is in another sentence, but no sign of multiplication.
_STRAY_MARKS = re.compile(
    r"\*{2,}|(?<!\w)_{2,}|_{2,}(?!\w)|~~|`+|^[*_]\s|(?<![\w*])[*_](?=\w)|(?<=[\w.,;:!?)])[*_](?![\w*])"
)
#: What counts as emoji, and yet is said.
_SIGNS = "©®™"
_SPACED = re.compile(r"\s+([.,;:!?](?:\s|$))")

_PARAGRAPH = "\n\n"


class MarkdownFilter:
    """Takes Markdown as it is written, and gives out its text: no code blocks, rules and marks of lists; a table row by
    row. Marks within a line stay: `spoken` takes them away, once a sentence is whole."""

    def __init__(self) -> None:
        self._line = ""  # has not shown yet what it is
        self._running = False  # the line is text, and its beginning has been given out
        self._line_end = "\n"
        self._fence = ""

    def push(self, markdown: str) -> str:
        """The text that is certain by now."""
        *ended, last = (self._line + markdown.replace("\r", "")).split("\n")
        self._line = ""
        text = "".join(map(self._end, ended))
        if self._running:
            return text + last
        if self._fence or _UNDECIDED.fullmatch(last):
            self._line = last
            return text
        self._running = True
        return text + self._begin(last)

    def finish(self) -> str:
        """The rest."""
        return self._end(self._line)

    def _end(self, line: str) -> str:
        """A whole line, or what is left of it."""
        if self._running:
            self._running = False
            return line + self._line_end
        fence = _FENCE.match(line)
        if self._fence:
            if fence and fence[1].startswith(self._fence):
                self._fence = ""
            return ""
        if fence:
            self._fence = fence[1]
            return _PARAGRAPH
        if not line.strip() or _RULE.fullmatch(line):
            return _PARAGRAPH
        if row := _ROW.fullmatch(line):
            cells = (cell.strip() for cell in row[1].split("|"))
            return _PARAGRAPH + ", ".join(cell for cell in cells if cell) + _PARAGRAPH
        return self._begin(line) + self._line_end

    def _begin(self, line: str) -> str:
        """The beginning of a line without its marks, apart from the line before if it has any."""
        marks = _MARKS.match(line)
        is_heading = marks is not None and "#" in marks[0]
        self._line_end = _PARAGRAPH if is_heading else "\n"
        if _NUMBERED.match(line):
            return _PARAGRAPH + line
        return _PARAGRAPH + line[marks.end() :] if marks else line


def spoken(sentence: str) -> str:
    """A sentence as it is said: without emphasis, links' addresses, HTML and emoji. Empty if nothing is left."""
    [inline] = _MARKDOWN.parseInline(sentence)
    text = "".join(_texts(inline.children or []))
    text = _STRAY_MARKS.sub("", _URL.sub(r"\1", text))
    text = " ".join(replace_emoji(text, lambda sign, _: sign if sign in _SIGNS else " ").split())
    return _SPACED.sub(r"\1", text) if any(map(str.isalnum, text)) else ""


def _texts(tokens: list[Token]) -> Iterator[str]:
    for token in tokens:
        if token.type in ("text", "code_inline"):
            yield token.content
        elif token.type in ("softbreak", "hardbreak"):
            yield " "
        elif token.type == "image":
            yield from _texts(token.children or [])
