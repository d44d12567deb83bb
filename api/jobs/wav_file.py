"""Reading the WAV files that the TTS workers write: mono, 16 bit."""

import wave
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from shared.storage.storage import StoredFile

#: What of a file is in memory at once, for each listener.
BLOCK_BYTES = 1 << 16


@dataclass(frozen=True)
class AudioBlock:
    """A piece of an answer."""

    rate_hz: int

    samples: bytes
    """PCM, mono, 16 bit."""

    whole_bytes: int | None = None
    """How much there is of them in the whole answer, where that is known."""


class WavFile:
    """One file, open for reading. Blocking."""

    def __init__(self, file: StoredFile) -> None:
        self._file = file.content
        try:
            with wave.open(self._file) as head:
                self.rate_hz = head.getframerate()
                self.size = head.getnframes() * head.getsampwidth()
        except BaseException:
            self._file.close()
            raise
        self._begin = self._file.tell()

    def read(self, position: int) -> AudioBlock:
        """A block of samples, from the byte `position` of them on; an empty one behind the last."""
        self._file.seek(self._begin + position)
        return AudioBlock(self.rate_hz, self._file.read(max(min(BLOCK_BYTES, self.size - position), 0)))

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _: TracebackType | None
    ) -> None:
        self.close()
