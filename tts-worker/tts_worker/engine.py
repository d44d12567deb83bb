"""What a voice engine is."""

from dataclasses import dataclass, replace
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from shared.errors import EngineError


@dataclass(frozen=True)
class Speech:
    """Spoken text."""

    samples: NDArray[np.int16]
    """Mono PCM, shape [n]."""

    sample_rate_hz: int

    def __post_init__(self) -> None:
        """What is no sound must not be written as if it were.

        Raises:
            EngineError: these are no samples, or no rate.
        """
        samples, rate_hz = self.samples, self.sample_rate_hz
        is_pcm = isinstance(samples, np.ndarray) and samples.dtype == np.int16 and samples.ndim == 1
        if not (is_pcm and isinstance(rate_hz, int) and rate_hz > 0):
            raise EngineError

    @property
    def duration_s(self) -> float:
        return len(self.samples) / self.sample_rate_hz

    def followed_by(self, pause_s: float) -> Self:
        """The same, and behind it silence."""
        pause = np.zeros(round(pause_s * self.sample_rate_hz), np.int16)
        return replace(self, samples=np.concatenate([self.samples, pause]))


class TtsEngine(Protocol):
    """Turns text into speech. Blocking, and called by one thread at a time."""

    name: str
    """As in `TTS_ENGINE`."""

    model: str
    """Which voice speaks by default; never a path."""

    def synthesize(self, text: str, language: str | None, voice: str | None) -> Speech:
        """Speak `text`. `language` is the ISO 639-1 code of the text, None where it is unknown; `voice` is the one
        that the caller asked for, or that `TTS_VOICES` has for the language, None for the default. A voice that speaks
        only one language may ignore `language`.

        Raises:
            UnknownVoice: the engine has no such voice.
            InputError: the text is longer than can be spoken in one piece.
        """
        ...
