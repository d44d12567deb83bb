"""The speech synthesis engine's protocol, and the audio that it returns."""

from dataclasses import dataclass, replace
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from shared.errors import EngineError


@dataclass(frozen=True)
class Speech:
    """Synthesized audio."""

    samples: NDArray[np.int16]
    """Mono PCM, shape [n]."""

    sample_rate_hz: int

    def __post_init__(self) -> None:
        """Reject an engine's invalid result before it is written to a file.

        Raises:
            EngineError: the samples are not mono PCM, or the sample rate is not a positive integer.
        """
        samples = self.samples
        is_pcm = isinstance(samples, np.ndarray) and samples.dtype == np.int16 and samples.ndim == 1
        if not (is_pcm and isinstance(self.sample_rate_hz, int) and self.sample_rate_hz > 0):
            raise EngineError

    @property
    def duration_s(self) -> float:
        return len(self.samples) / self.sample_rate_hz

    def followed_by(self, pause_s: float) -> Self:
        """Return this speech with `pause_s` seconds of silence at its end."""
        pause = np.zeros(round(pause_s * self.sample_rate_hz), np.int16)
        return replace(self, samples=np.concatenate([self.samples, pause]))


class TtsEngine(Protocol):
    """Synthesizes speech. Blocking, and called by one thread at a time."""

    name: str
    """As in `TTS_ENGINE`."""

    model: str
    """The default voice's name; never a path."""

    def synthesize(self, text: str, language: str | None, voice: str | None) -> Speech:
        """Synthesize `text`. `language` is the ISO 639-1 code of the text, None if unknown; `voice` is the one that
        the caller requested, or that `TTS_VOICES` names for the language, None for the default. A voice with only one
        language may ignore `language`.

        Raises:
            UnknownVoice: the engine has no such voice.
            InputError: the text is too long for one segment.
        """
        ...
