"""Measurements of synthesized speech."""

import numpy as np

from tts_worker.engine import Speech


def seconds(speech: Speech) -> float:
    """The duration of the speech."""
    return len(speech.samples) / speech.sample_rate_hz


def loudness(speech: Speech) -> float:
    """The root mean square of the samples; silence is 0, full scale 32,767."""
    return float(np.sqrt(np.mean(speech.samples.astype(float) ** 2)))
