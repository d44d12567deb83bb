"""What the tiny Whisper learns from: the closed set in many voices, and a new room and microphone each time."""

from dataclasses import dataclass

import numpy as np
from closed_set import SENTENCES
from faster_whisper.feature_extractor import FeatureExtractor
from numpy.typing import NDArray
from speech import RATE, Samples, espeak, flite, resample

FLITE_VOICES = ("kal", "kal16", "awb", "rms")
FLITE_TAKES = 3  # they sound more like people than espeak-ng does
STRETCHES = (0.85, 1.0, 1.2)
ESPEAK_VOICES = {
    "en": "en-us en-gb en-gb-scotland en-gb-x-rp en-029 en-us+f1 en-us+f2 en-us+f3 en-us+f5 en-gb+f2 en-gb+f4 en-us+m3 "
    "en-us+m7 en-gb+m2 en-us+Annie en-us+linda en-us+Andrea en-gb+belinda",
    "de": "de de+f1 de+f2 de+f3 de+f5 de+m2 de+m3 de+m7",
}
WORDS_PER_MINUTE = (130, 165, 200)

LONGEST_S = 5.9


@dataclass(frozen=True)
class Clip:
    """One sentence in one voice."""

    language: str
    sentence: str
    samples: Samples


@dataclass(frozen=True)
class Lesson:
    """What is shown to the model, and what it should say."""

    features: NDArray[np.float32]
    """Log-mel, shape [80, frames], from faster-whisper's own extractor."""

    language: str
    sentence: str


def record_clips() -> list[Clip]:
    """Each sentence in each voice at three speeds."""
    clips = []
    for language, sentences in SENTENCES.items():
        takes = [(espeak, voice, WORDS_PER_MINUTE) for voice in ESPEAK_VOICES[language].split()]
        if language == "en":
            takes += FLITE_TAKES * [(flite, voice, STRETCHES) for voice in FLITE_VOICES]
        for speak, voice, speeds in takes:
            clips += [Clip(language, text, _trim(speak(text, voice, speed))) for text in sentences for speed in speeds]
    return clips


def draw_lessons(clips: list[Clip], count: int, chance: np.random.Generator) -> list[Lesson]:
    """So many recordings of the clips, each taken about as often as any other."""
    extractor = FeatureExtractor()
    order = chance.permutation(np.arange(count) % len(clips))
    return [_record(clips[number], extractor, chance) for number in order]


def _record(clip: Clip, extractor: FeatureExtractor, chance: np.random.Generator) -> Lesson:
    # Higher and shorter or lower and longer: a man's voice turns into a woman's or a giant's.
    samples = resample(clip.samples, chance.uniform(0.75, 1.12))
    before, after = (np.zeros(int(RATE * chance.uniform(0, 0.6)), np.float32) for _ in range(2))
    samples = _colour(np.concatenate([before, samples, after]), chance)
    loudness = 10 ** chance.uniform(-1.3, 0)
    samples = _add_noise(samples * (loudness / np.abs(samples).max()), loudness, chance)
    features = extractor(samples[: int(LONGEST_S * RATE)].astype(np.float32))
    return Lesson(features.astype(np.float32), clip.language, clip.sentence)


def _trim(samples: Samples) -> Samples:
    """The recording without the silence around it."""
    loud = np.flatnonzero(np.abs(samples) > 0.02 * np.abs(samples).max())
    return samples[loud[0] : loud[-1] + 1]


def _colour(samples: Samples, chance: np.random.Generator) -> Samples:
    """Another microphone: a random smooth filter."""
    taps = chance.normal(0, 0.2, 9) * np.hanning(11)[1:-1]
    taps[4] = 1.0
    return np.convolve(samples, taps, "same")


def _add_noise(samples: Samples, loudness: float, chance: np.random.Generator) -> Samples:
    """Another room: from digital silence to a noise that can be heard well beside speech of this loudness."""
    if chance.random() < 0.2:
        return samples
    noise = chance.normal(0, loudness * 10 ** chance.uniform(-4.5, -1.8), len(samples))
    if chance.random() < 0.5:
        noise = np.convolve(noise, np.ones(8) / 4, "same")  # a rumble
    return samples + noise
