"""Remove Markdown from a text: models write it even if the system prompt forbids it."""

import re
from collections.abc import Iterator

from emoji import replace_emoji
from markdown_it import MarkdownIt
from markdown_it.token import Token

_MARKDOWN = MarkdownIt("commonmark").enable("strikethrough")

#: The start of a line that may yet turn out to begin a block.
_UNDECIDED = re.compile(
    r"\s*(?:(?:```|~~~|\|).*|`{0,2}|~{0,2}|[-+*=_•#>\s]*(?:\[[ xX]?\]?\s*)?|\d{1,3}[.)]?)", re.DOTALL
)
_FENCE = re.compile(r"\s*(`{3,}|~{3,})")
_RULE = re.compile(r"\s*(?:[-*_=]\s*){2,}|\s*\|?[\s:|-]*-{2,}[\s:|-]*")
_ROW = re.compile(r"\s*\|(.*?)\|?\s*")
#: Marks of lists, headings and quotes. The numbers of a list stay: they help a listener, and may be the answer.
_MARKS = re.compile(r"\s*(?:(?:[-+*•]\s+(?:\[[ xX]\]\s+)?|#{1,6}\s+|>\s?)\s*)+")
_NUMBERED = re.compile(r"\s*\d{1,3}[.)]\s")

#: A URL, of which only the host is kept. Punctuation that ends the sentence is not part of it.
_URL = re.compile(r"\bhttps?://(?:www\.)?([^\s/?#]+)\S*?(?=[.,;:!?)\]]*(?:\s|$))")
#: Marks of emphasis whose other half is in another sentence, but no sign of multiplication.
_STRAY_MARKS = re.compile(
    r"\*{2,}|(?<!\w)_{2,}|_{2,}(?!\w)|~~|`+|^[*_]\s|(?<![\w*])[*_](?=\w)|(?<=[\w.,;:!?)])[*_](?![\w*])"
)
#: Signs that count as emoji, but are read out.
_PRONOUNCED_SIGNS = "©®™"
_BLANK_BEFORE_PUNCTUATION = re.compile(r"\s+([.,;:!?](?:\s|$))")

_PARAGRAPH_BREAK = "\n\n"


class MarkdownFilter:
    """Takes Markdown as it is written and returns its text without code blocks, rules and the marks of lists, and
    tables row by row. Marks within a line stay: `strip_inline` removes them once a sentence is complete."""

    def __init__(self) -> None:
        self._line = ""
        """The current line, as long as its kind is undecided."""
        self._is_text_line = False
        """True while the current line is text whose beginning has been returned."""
        self._line_end = "\n"
        """Follows the current line."""
        self._fence = ""
        """The fence that opened the current code block; empty outside of one."""

    def push(self, markdown: str) -> str:
        """Append `markdown`; return the text that is certain by now."""
        *ended_lines, last_line = (self._line + markdown.replace("\r", "")).split("\n")
        self._line = ""
        text = "".join(map(self._end_line, ended_lines))
        if self._is_text_line:
            return text + last_line
        if self._fence or _UNDECIDED.fullmatch(last_line):
            self._line = last_line
            return text
        self._is_text_line = True
        return text + self._begin_line(last_line)

    def finish(self) -> str:
        """Return the remaining text."""
        return self._end_line(self._line)

    def _end_line(self, line: str) -> str:
        """The text of a whole line, or of the rest of a line whose beginning has been returned."""
        if self._is_text_line:
            self._is_text_line = False
            return line + self._line_end
        fence = _FENCE.match(line)
        if self._fence:
            if fence and fence[1].startswith(self._fence):
                self._fence = ""
            return ""
        if fence:
            self._fence = fence[1]
            return _PARAGRAPH_BREAK
        if not line.strip() or _RULE.fullmatch(line):
            return _PARAGRAPH_BREAK
        if row := _ROW.fullmatch(line):
            cells = (cell.strip() for cell in row[1].split("|"))
            return _PARAGRAPH_BREAK + ", ".join(cell for cell in cells if cell) + _PARAGRAPH_BREAK
        return self._begin_line(line) + self._line_end

    def _begin_line(self, line: str) -> str:
        """The beginning of a line without its marks; a line with marks becomes a paragraph of its own."""
        marks = _MARKS.match(line)
        is_heading = marks is not None and "#" in marks[0]
        self._line_end = _PARAGRAPH_BREAK if is_heading else "\n"
        if _NUMBERED.match(line):
            return _PARAGRAPH_BREAK + line
        return _PARAGRAPH_BREAK + line[marks.end() :] if marks else line


def strip_inline(sentence: str) -> str:
    """Remove emphasis, link addresses, HTML and emoji from a sentence. Empty if no letter or digit is left."""
    [inline] = _MARKDOWN.parseInline(sentence)
    text = "".join(_texts(inline.children or []))
    text = _STRAY_MARKS.sub("", _URL.sub(r"\1", text))
    text = " ".join(replace_emoji(text, lambda sign, _: sign if sign in _PRONOUNCED_SIGNS else " ").split())
    return _BLANK_BEFORE_PUNCTUATION.sub(r"\1", text) if any(map(str.isalnum, text)) else ""


def _texts(tokens: list[Token]) -> Iterator[str]:
    for token in tokens:
        if token.type in ("text", "code_inline"):
            yield token.content
        elif token.type in ("softbreak", "hardbreak"):
            yield " "
        elif token.type == "image":
            yield from _texts(token.children or [])
