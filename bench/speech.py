"""What is said to the contenders: the tests' recordings, one after the other."""

import wave
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

RATE_HZ = 16_000

_SAMPLES = Path(__file__).parents[1] / "tests" / "models" / "samples"

#: As loud as a quiet room in a microphone.
_NOISE = 0.001


def utterance(duration_s: float, beginning: int = 0) -> NDArray[np.float32]:
    """Speech without a long pause, float32 in -1 … 1, shape [16,000 x duration_s]; `beginning` picks with which
    recording it starts."""
    paths = sorted(_SAMPLES.glob("*.wav"))
    count, parts, length = beginning, [], 0
    while length < duration_s * RATE_HZ:
        parts.append(_read(paths[count % len(paths)]))
        count, length = count + 1, length + len(parts[-1])
    return np.concatenate(parts)[: round(duration_s * RATE_HZ)]


def silence(duration_s: float) -> NDArray[np.float32]:
    """Nobody speaks."""
    noise = np.random.default_rng(7).standard_normal(round(duration_s * RATE_HZ), np.float32)
    return np.asarray(_NOISE * noise, np.float32)


def _read(path: Path) -> NDArray[np.float32]:
    with wave.open(str(path), "rb") as file:
        if (file.getnchannels(), file.getsampwidth(), file.getframerate()) != (1, 2, RATE_HZ):
            raise RuntimeError(f"{path.name} is not mono, 16 bit, 16 kHz.")
        return np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float32) / np.float32(32768)
