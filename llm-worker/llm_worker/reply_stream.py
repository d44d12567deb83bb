"""An answer while it is being written: its text, and what of it is to be said."""

from shared.errors import AnswerBlocked
from shared.queue import job_fields
from shared.queue.events import TextEvent
from shared.queue.messages import Outcome
from shared.text.markdown_filter import MarkdownFilter, spoken
from shared.text.sentence_splitter import SentenceSplitter, replace_lone_surrogates, split


class Answer:
    """Takes the model's pieces, of any size, and gives out steps: text and sentences that nobody has had yet."""

    def __init__(self, language: str, *, is_spoken: bool) -> None:
        self._language, self._is_spoken = language, is_spoken
        self._text, self._half = "", ""
        self._told = 0  # how much of the text has been given out
        self._prose, self._segmenter = MarkdownFilter(), SentenceSplitter(language)
        self._sentences: list[str] = []  # that have not been given out
        self._is_silent = True

    def add(self, piece: str) -> None:
        piece = self._half + piece
        # JSON may write an emoji as two escapes, and a server that streams may send them apart.
        self._half = piece[-1] if "\ud800" <= piece[-1:] <= "\udbff" else ""
        self._write(replace_lone_surrogates(piece.removesuffix(self._half)))

    def end(self) -> None:
        """There is no more.

        Raises:
            AnswerBlocked: there was nothing at all.
        """
        self._write(replace_lone_surrogates(self._half))
        self._say(self._segmenter.push(self._prose.finish()) + self._segmenter.finish())
        if not self._text.strip():
            raise AnswerBlocked
        if self._is_silent:  # nothing but code or emoji: better spelled out than passed over
            self._sentences = split(self._text, self._language)

    @property
    def has_step(self) -> bool:
        return bool(self._sentences)

    def step(self) -> Outcome:
        """What is new since the last one."""
        text = self._text.rstrip()
        new, sentences = text[self._told :], self._sentences
        self._told, self._sentences = len(text), []
        return Outcome(
            {job_fields.RESPONSE: text},
            parts=("tts", sentences) if self._is_spoken else None,
            events=[TextEvent(new)] if new else [],
        )

    def _write(self, text: str) -> None:
        self._text = (self._text + text) if self._text else text.lstrip()
        self._say(self._segmenter.push(self._prose.push(text)))

    def _say(self, sentences: list[str]) -> None:
        self._sentences += [said for sentence in sentences if (said := spoken(sentence))]
        self._is_silent = self._is_silent and not self._sentences
