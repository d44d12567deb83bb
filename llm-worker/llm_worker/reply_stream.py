"""A reply while the model writes it: its text so far, and the segments to synthesize."""

from shared.errors import AnswerBlocked
from shared.queue import job_fields
from shared.queue.events import TextEvent
from shared.queue.messages import Outcome
from shared.text.sentence_splitter import replace_lone_surrogates
from shared.text.speech_text import SpeechText


class ReplyStream:
    """Collects the model's chunks, of any size, and returns what is new as steps of the task."""

    def __init__(self, language: str, *, is_synthesized: bool) -> None:
        """`is_synthesized` is whether the segments become tasks of the TTS stage."""
        self._is_synthesized = is_synthesized
        self._text = ""
        self._half_character = ""
        self._reported_chars = 0
        self._speech = SpeechText(language)
        self._new_segments: list[str] = []

    def add(self, chunk: str) -> None:
        """Append a chunk of the model's text."""
        chunk = self._half_character + chunk
        # JSON may write an emoji as two escapes, and a server may send them in two chunks.
        self._half_character = chunk[-1] if "\ud800" <= chunk[-1:] <= "\udbff" else ""
        self._append(chunk.removesuffix(self._half_character))

    def finish(self) -> None:
        """Mark the reply as complete.

        Raises:
            AnswerBlocked: it has no text.
        """
        self._append(self._half_character)
        self._new_segments += self._speech.finish()
        if not self._text.strip():
            raise AnswerBlocked

    @property
    def has_new_segments(self) -> bool:
        return bool(self._new_segments)

    def take_step(self) -> Outcome:
        """Return the text and the segments that are new since the last step."""
        text = self._text.rstrip()
        new_text = text[self._reported_chars :]
        segments = self._new_segments
        self._reported_chars = len(text)
        self._new_segments = []
        return Outcome(
            {job_fields.RESPONSE: text},
            parts=("tts", segments) if self._is_synthesized else None,
            events=[TextEvent(new_text)] if new_text else [],
        )

    def _append(self, text: str) -> None:
        text = replace_lone_surrogates(text)
        self._text = (self._text + text) if self._text else text.lstrip()
        self._new_segments += self._speech.push(text)
