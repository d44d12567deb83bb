"""What a voice engine is."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Speech:
    """Spoken text."""

    samples: NDArray[np.int16]
    """Mono PCM, shape [n]."""

    sample_rate_hz: int


class TtsEngine(Protocol):
    """Turns text into speech. Blocking, and called by one thread at a time."""

    name: str
    """As in `TTS_ENGINE`."""

    model: str
    """Which voice speaks by default; never a path."""

    def synthesize(self, text: str, language: str | None, voice: str | None) -> Speech:
        """Speak `text`. `language` is the ISO 639-1 code of the text, None where it is unknown; `voice` is the one
        that the caller asked for, None for the default. A voice that speaks only one language may ignore `language`.

        Raises:
            UnknownVoice: the engine has no such voice.
            InputError: the text is longer than can be spoken in one piece.
        """
        ...
