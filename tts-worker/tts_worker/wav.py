"""Encode and join WAV files: mono, 16 bit."""

import io
import wave
from collections.abc import Callable, Sequence
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from shared.storage.storage import StoredFile
from tts_worker.engine import Speech

#: Opens a segment; a long answer has more of them than a process may have files open.
OpenSegment = Callable[[], StoredFile]

#: Frames in memory at once while a segment is copied.
_BLOCK_FRAMES = 1 << 16


def encode(speech: Speech) -> bytes:
    """Return `speech` as a WAV file."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as out:
        _set_format(out, speech.sample_rate_hz)
        out.writeframes(speech.samples.tobytes())
    return buffer.getvalue()


def duration_s(file: BinaryIO) -> float:
    """The length of a WAV file in seconds."""
    with wave.open(file, "rb") as source:
        return source.getnframes() / source.getframerate()


def join(segments: Sequence[OpenSegment], target: BinaryIO) -> float:
    """Write the WAV files `segments` into `target` as one; return its duration in seconds.

    They normally share one sample rate. If TTS workers with different voices synthesized one answer, the first
    segment's rate is used and the others are resampled.
    """
    if not segments:
        raise ValueError("There is no segment to join.")
    formats = [_rate_and_frames(segment) for segment in segments]
    rate_hz = formats[0][0]
    total = sum(_resampled_length(frames, own_rate_hz, rate_hz) for own_rate_hz, frames in formats)
    with wave.open(target, "wb") as out:
        _set_format(out, rate_hz)
        # The header is complete before the first frame, so that `target` need not be seekable.
        out.setnframes(total)
        for segment in segments:
            _copy(segment, out, rate_hz)
    return total / rate_hz


def _set_format(out: wave.Wave_write, rate_hz: int) -> None:
    out.setnchannels(1)
    out.setsampwidth(2)
    out.setframerate(rate_hz)


def _rate_and_frames(segment: OpenSegment) -> tuple[int, int]:
    with segment() as file, wave.open(file.content, "rb") as source:
        return source.getframerate(), source.getnframes()


def _copy(segment: OpenSegment, out: wave.Wave_write, rate_hz: int) -> None:
    with segment() as file, wave.open(file.content, "rb") as source:
        if source.getframerate() != rate_hz:
            samples = np.frombuffer(source.readframes(source.getnframes()), np.int16)
            out.writeframesraw(_resample(samples, source.getframerate(), rate_hz).tobytes())
            return
        while block := source.readframes(_BLOCK_FRAMES):
            out.writeframesraw(block)


def _resampled_length(frames: int, from_hz: int, to_hz: int) -> int:
    return round(frames * to_hz / from_hz)


def _resample(samples: NDArray[np.int16], from_hz: int, to_hz: int) -> NDArray[np.int16]:
    """Cut or pad the spectrum of the whole segment. This has no aliasing, but treats the signal as periodic, so that
    the last milliseconds affect the first ones; that is inaudible, since a segment begins and ends quietly."""
    length = _resampled_length(len(samples), from_hz, to_hz)
    if not length:
        return np.zeros(0, np.int16)
    spectrum = np.fft.rfft(samples)
    # irfft drops the frequencies above the new Nyquist frequency, or pads with zeros.
    signal = np.fft.irfft(spectrum, length) * (length / len(samples))
    return np.clip(np.rint(signal), -32768, 32767).astype(np.int16)
