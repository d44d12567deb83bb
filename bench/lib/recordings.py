"""What is said to the contenders: the tests' recordings, one after the other."""

from pathlib import Path

import numpy as np

from stt_worker.audio import decode
from stt_worker.engine import SAMPLE_RATE_HZ, Samples

_SAMPLES = Path(__file__).parents[2] / "tests" / "speech_models" / "samples"

#: As loud as a quiet room in a microphone.
_NOISE = 0.001


def utterance(duration_s: float, beginning: int = 0) -> Samples:
    """Speech without a long pause, 16,000 x duration_s samples; `beginning` picks with which recording it starts."""
    paths = sorted(_SAMPLES.glob("*.wav"))
    count, parts, length = beginning, [], 0
    while length < duration_s * SAMPLE_RATE_HZ:
        parts.append(decode(paths[count % len(paths)], max_audio_s=60))
        count, length = count + 1, length + len(parts[-1])
    return np.concatenate(parts)[: round(duration_s * SAMPLE_RATE_HZ)]


def silence(duration_s: float) -> Samples:
    """Nobody speaks."""
    noise = np.random.default_rng(7).standard_normal(round(duration_s * SAMPLE_RATE_HZ), np.float32)
    return np.asarray(_NOISE * noise, np.float32)
