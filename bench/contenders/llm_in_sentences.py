"""The product's LLM worker, but one that has whole sentences spoken, so many at a time: `... 1`, `... 3`."""

import sys

from llm_worker.__main__ import main
from shared.text import speech_text
from shared.text.sentence_splitter import split


class SentenceSegmenter:
    """Gives out the sentences of a text in groups, as other systems do."""

    group = 1

    def __init__(self, language: str) -> None:
        self._language, self._rest = language, ""

    def push(self, text: str) -> list[str]:
        self._rest += text
        *ended, last = split(self._rest, self._language) or [""]
        count = len(ended) - len(ended) % self.group
        if not count:
            return []
        blank = self._rest[len(self._rest.rstrip()) :]
        self._rest = " ".join([*ended[count:], last]) + blank
        return self._grouped(ended[:count])

    def finish(self) -> list[str]:
        return self._grouped(split(self._rest, self._language))

    def _grouped(self, sentences: list[str]) -> list[str]:
        starts = range(0, len(sentences), self.group)
        return [" ".join(sentences[start : start + self.group]) for start in starts]


if __name__ == "__main__":
    SentenceSegmenter.group = int(sys.argv[1])
    speech_text.SentenceSplitter = SentenceSegmenter  # type: ignore[assignment, misc]
    main()
