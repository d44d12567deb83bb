"""The speech recognition engine's protocol, and the transcript that it returns."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from shared.errors import CascadeError, EngineError, NoSpeech

#: Mono samples at 16 kHz, shape [n], within -1 … 1.
Samples = NDArray[np.float32]

#: The rate that the recognizers were trained on.
SAMPLE_RATE_HZ = 16_000


@dataclass(frozen=True)
class Transcript:
    """The text of a recording."""

    text: str
    """Without leading or trailing space; never empty."""

    language: str
    """ISO 639-1 code of the recognized language."""

    strategy: str | None = None
    """The engine's strategy for this recording, such as `short_10` or `full`: a word for the status and the metrics."""

    fallback_reason: str | None = None
    """Why a faster strategy was rejected, such as `unlikely`."""

    def __post_init__(self) -> None:
        """Reject an engine's result that cannot be stored or holds no word.

        Raises:
            NoSpeech: there is no word in it.
            EngineError: it is not text.
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
    """Recognizes speech. Blocking, and called by one thread at a time."""

    name: str
    """As in `STT_ENGINE`."""

    model: str
    """The model's name for the job's status; never a path."""

    def transcribe(self, samples: Samples, language: str | None) -> Transcript:
        """Recognize `samples`. `language` is an ISO 639-1 hint; None asks for detection.

        Raises:
            NoSpeech: the recording holds no speech.
        """
        ...


@runtime_checkable
class BatchEngine(SttEngine, Protocol):
    """An engine that recognizes several utterances in less time than one after the other."""

    def transcribe_batch(
        self, recordings: Sequence[Samples], languages: Sequence[str | None]
    ) -> list[Transcript | CascadeError | None]:
        """For each of `recordings`, the result or error of `transcribe`; None if only `transcribe` can serve it."""
        ...
