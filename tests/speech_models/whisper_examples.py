"""The tiny Whisper's training examples: the closed set in many voices, each with another room and microphone."""

from dataclasses import dataclass

import numpy as np
from closed_set import SENTENCES
from faster_whisper.feature_extractor import FeatureExtractor
from numpy.typing import NDArray
from speech import RATE, Samples, espeak, flite, resample

FLITE_VOICES = ("kal", "kal16", "awb", "rms")
FLITE_TAKES = 3  # more natural than espeak-ng
STRETCHES = (0.85, 1.0, 1.2)
ESPEAK_VOICES = {
    "en": "en-us en-gb en-gb-scotland en-gb-x-rp en-029 en-us+f1 en-us+f2 en-us+f3 en-us+f5 en-gb+f2 en-gb+f4 en-us+m3 "
    "en-us+m7 en-gb+m2 en-us+Annie en-us+linda en-us+Andrea en-gb+belinda",
    "de": "de de+f1 de+f2 de+f3 de+f5 de+m2 de+m3 de+m7",
}
WORDS_PER_MINUTE = (130, 165, 200)

MAX_CLIP_S = 5.9


@dataclass(frozen=True)
class Clip:
    """One sentence in one voice."""

    language: str
    sentence: str
    samples: Samples


@dataclass(frozen=True)
class Example:
    """Input and expected output of the model."""

    features: NDArray[np.float32]
    """Log-mel, shape [80, frames], from faster-whisper's own extractor."""

    language: str
    sentence: str


def record_clips() -> list[Clip]:
    """Synthesize each sentence in each voice at three speeds."""
    clips = []
    for language, sentences in SENTENCES.items():
        takes = [(espeak, voice, WORDS_PER_MINUTE) for voice in ESPEAK_VOICES[language].split()]
        if language == "en":
            takes += FLITE_TAKES * [(flite, voice, STRETCHES) for voice in FLITE_VOICES]
        for synthesize, voice, speeds in takes:
            clips += [
                Clip(language, text, _trim(synthesize(text, voice, speed))) for text in sentences for speed in speeds
            ]
    return clips


def make_examples(clips: list[Clip], count: int, rng: np.random.Generator) -> list[Example]:
    """`count` examples in random order, about the same number of each clip."""
    extractor = FeatureExtractor()
    order = rng.permutation(np.arange(count) % len(clips))
    return [_make_example(clips[number], extractor, rng) for number in order]


def _make_example(clip: Clip, extractor: FeatureExtractor, rng: np.random.Generator) -> Example:
    # Higher and shorter or lower and longer: a change of voice.
    samples = resample(clip.samples, rng.uniform(0.75, 1.12))
    before, after = (np.zeros(int(RATE * rng.uniform(0, 0.6)), np.float32) for _ in range(2))
    samples = _filter(np.concatenate([before, samples, after]), rng)
    loudness = 10 ** rng.uniform(-1.3, 0)
    samples = _add_noise(samples * (loudness / np.abs(samples).max()), loudness, rng)
    features = extractor(samples[: int(MAX_CLIP_S * RATE)].astype(np.float32))
    return Example(features.astype(np.float32), clip.language, clip.sentence)


def _trim(samples: Samples) -> Samples:
    """Remove the silence at both ends."""
    loud = np.flatnonzero(np.abs(samples) > 0.02 * np.abs(samples).max())
    return samples[loud[0] : loud[-1] + 1]


def _filter(samples: Samples, rng: np.random.Generator) -> Samples:
    """Simulate another microphone with a random smooth filter."""
    taps = rng.normal(0, 0.2, 9) * np.hanning(11)[1:-1]
    taps[4] = 1.0
    return np.convolve(samples, taps, "same")


def _add_noise(samples: Samples, loudness: float, rng: np.random.Generator) -> Samples:
    """Simulate another room: from digital silence to noise that is clearly audible next to speech of this loudness."""
    if rng.random() < 0.2:
        return samples
    noise = rng.normal(0, loudness * 10 ** rng.uniform(-4.5, -1.8), len(samples))
    if rng.random() < 0.5:
        noise = np.convolve(noise, np.ones(8) / 4, "same")  # a rumble
    return samples + noise
