"""What a speech recognition engine is."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from shared.errors import CascadeError, EngineError, NoSpeech

#: Mono samples at 16 kHz, shape [n], within -1 … 1.
Samples = NDArray[np.float32]

SAMPLE_RATE_HZ = 16_000


@dataclass(frozen=True)
class Transcript:
    """What was said."""

    text: str
    """Without leading or trailing space; never empty."""

    language: str
    """ISO 639-1 code of the language heard."""

    strategy: str | None = None
    """Which of its ways the engine took, such as `short_10` or `full`: a word for the status and the metrics."""

    fallback_reason: str | None = None
    """Why it took that way where a faster one would have done, such as `unlikely`."""

    def __post_init__(self) -> None:
        """What is no transcript must not be answered.

        Raises:
            NoSpeech: there is no word in it.
            EngineError: it is no text.
        """
        if not isinstance(self.text, str) or not isinstance(self.language, str):
            raise EngineError
        try:
            f"{self.text}{self.language}".encode()
        except UnicodeEncodeError:  # half a character cannot be stored
            raise EngineError from None
        if not self.text.strip():
            raise NoSpeech


class SttEngine(Protocol):
    """Turns speech into text. Blocking, and called by one thread at a time."""

    name: str
    """As in `STT_ENGINE`."""

    model: str
    """Which model answers, as a person would write it; never a path."""

    def transcribe(self, samples: Samples, language: str | None) -> Transcript:
        """Recognize `samples`. `language` is an ISO 639-1 hint; None asks for detection.

        Raises:
            NoSpeech: nobody speaks.
        """
        ...


@runtime_checkable
class BatchEngine(SttEngine, Protocol):
    """An engine that hears several utterances in less time than one after the other."""

    def transcribe_together(
        self, recordings: Sequence[Samples], languages: Sequence[str | None]
    ) -> list[Transcript | CascadeError | None]:
        """For each of `recordings`, what `transcribe` would answer or raise; None where it must be asked alone."""
        ...
