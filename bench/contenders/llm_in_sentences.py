"""The product's LLM worker with whole sentences as segments. The argument is the number of sentences per segment."""

import sys

from llm_worker.__main__ import main
from shared.text import speech_text
from shared.text.sentence_splitter import split


class SentenceGroupSplitter:
    """Splits a streamed text into groups of whole sentences, as other systems do."""

    group_size = 1

    def __init__(self, language: str) -> None:
        self._language = language
        self._rest = ""

    def push(self, text: str) -> list[str]:
        self._rest += text
        *complete, last = split(self._rest, self._language) or [""]
        count = len(complete) - len(complete) % self.group_size
        if not count:
            return []
        trailing_space = self._rest[len(self._rest.rstrip()) :]
        self._rest = " ".join([*complete[count:], last]) + trailing_space
        return self._groups(complete[:count])

    def finish(self) -> list[str]:
        return self._groups(split(self._rest, self._language))

    def _groups(self, sentences: list[str]) -> list[str]:
        starts = range(0, len(sentences), self.group_size)
        return [" ".join(sentences[start : start + self.group_size]) for start in starts]


if __name__ == "__main__":
    SentenceGroupSplitter.group_size = int(sys.argv[1])
    speech_text.SentenceSplitter = SentenceGroupSplitter  # type: ignore[assignment, misc]
    main()
