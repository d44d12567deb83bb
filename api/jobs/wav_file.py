"""Reading the WAV files that the TTS workers write: mono, 16 bit."""

import wave
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from shared.storage.storage import StoredFile

#: The part of a file that is in memory at once, for each listener.
BLOCK_BYTES = 1 << 16


@dataclass(frozen=True)
class AudioBlock:
    """Consecutive samples of an answer."""

    rate_hz: int

    samples: bytes
    """PCM, mono, 16 bit."""

    total_bytes: int | None = None
    """The size of all samples of the answer, if it is known."""


class WavFile:
    """A WAV file that is open for reading. Its methods block."""

    def __init__(self, file: StoredFile) -> None:
        self._file = file.content
        try:
            with wave.open(self._file) as wav:
                self.rate_hz = wav.getframerate()
                self.size = wav.getnframes() * wav.getsampwidth()
        except BaseException:
            self._file.close()
            raise
        self._begin = self._file.tell()

    def read(self, position: int) -> AudioBlock:
        """The block of samples at `position`, in bytes from the first sample; an empty one at the end."""
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
