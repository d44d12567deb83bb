"""The audio that the benchmarks send: the tests' recordings, joined, or silence."""

from pathlib import Path

import numpy as np

from stt_worker.audio import decode
from stt_worker.engine import SAMPLE_RATE_HZ, Samples

_SAMPLES = Path(__file__).parents[2] / "tests" / "speech_models" / "samples"

#: As loud as a quiet room in a microphone.
_NOISE = 0.001


def utterance(duration_s: float, first_recording: int = 0) -> Samples:
    """Speech without a long pause, 16,000 x duration_s samples, that starts with recording number `first_recording`."""
    paths = sorted(_SAMPLES.glob("*.wav"))
    number = first_recording
    parts: list[Samples] = []
    length = 0
    while length < duration_s * SAMPLE_RATE_HZ:
        parts.append(decode(paths[number % len(paths)], max_audio_s=60))
        number += 1
        length += len(parts[-1])
    return np.concatenate(parts)[: round(duration_s * SAMPLE_RATE_HZ)]


def silence(duration_s: float) -> Samples:
    """Faint noise without speech."""
    noise = np.random.default_rng(7).standard_normal(round(duration_s * SAMPLE_RATE_HZ), np.float32)
    return np.asarray(_NOISE * noise, np.float32)
