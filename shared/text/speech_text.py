"""Split Markdown into segments for speech synthesis, while it is being written or as a whole."""

from shared.text.markdown_filter import MarkdownFilter, strip_inline
from shared.text.sentence_splitter import SentenceSplitter, split


class SpeechText:
    """Takes Markdown in chunks of any size and returns segments of plain text: a filter removes Markdown's blocks, a
    splitter cuts the rest into sentences, and each sentence loses its inline marks."""

    def __init__(self, language: str) -> None:
        """`language` is an ISO 639-1 code; an unknown one is split by general rules."""
        self._language = language
        self._filter = MarkdownFilter()
        self._splitter = SentenceSplitter(language)
        self._has_segments = False
        self._skipped = ""

    def push(self, markdown: str) -> list[str]:
        """Append `markdown`; return the segments that are certain by now."""
        self._remember(markdown)
        return self._strip(self._splitter.push(self._filter.push(markdown)))

    def finish(self, markdown: str = "") -> list[str]:
        """Append `markdown`, the end of the text or all of it; return the remaining segments.

        Only a blank text has no segments at all: code or emoji alone are better spelled out than skipped.
        """
        self._remember(markdown)
        text = self._filter.push(markdown) + self._filter.finish()
        segments = self._strip(self._splitter.push(text) + self._splitter.finish())
        return segments if self._has_segments else split(self._skipped, self._language)

    def _remember(self, markdown: str) -> None:
        """Keep the text for as long as it has no segments."""
        if not self._has_segments:
            self._skipped += markdown

    def _strip(self, sentences: list[str]) -> list[str]:
        segments = [segment for sentence in sentences if (segment := strip_inline(sentence))]
        self._has_segments = self._has_segments or bool(segments)
        return segments
