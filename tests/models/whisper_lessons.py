"""What the tiny Whisper learns from: the closed set in many voices, and a new room and microphone each time."""

from collections import defaultdict
from dataclasses import dataclass

import numpy as np
from closed_set import ENGLISH, GERMAN, SENTENCES
from faster_whisper.audio import pad_or_trim
from faster_whisper.feature_extractor import FeatureExtractor
from numpy.typing import NDArray
from speech import RATE, Samples, espeak, flite, resample
from whisper_vocabulary import Vocabulary

FLITE_VOICES = ("kal", "kal16", "awb", "rms")
STRETCHES = (0.85, 1.0, 1.2)
ESPEAK_VOICES = {
    "en": "en-us en-gb en-gb-scotland en-gb-x-rp en-029 en-us+f1 en-us+f2 en-us+f3 en-us+f5 en-gb+f2 en-gb+f4 en-us+m3 "
    "en-us+m7 en-gb+m2",
    "de": "de de+f1 de+f2 de+f3 de+f5 de+m2 de+m3 de+m7",
}
WORDS_PER_MINUTE = (130, 165, 200)

IGNORE = -100  # the label that PyTorch's loss leaves out

# Number 0 is for a moment without a letter.
ALPHABET = " " + "".join(sorted({c for text in (*ENGLISH, *GERMAN) for c in text.lower() if c.isalpha()}))


@dataclass(frozen=True)
class Clip:
    """One sentence in one voice."""

    language: str
    sentence: str
    samples: Samples


@dataclass(frozen=True)
class Lesson:
    """A recording, what the decoder reads and should say next, token by token, and how that is spelled."""

    samples: Samples
    tokens: list[int]
    labels: list[int]
    letters: list[int]


def record_clips() -> dict[str, list[list[Clip]]]:
    """For each language the voices, and for each voice its sentences at three speeds."""
    voices: dict[str, list[list[Clip]]] = defaultdict(list)
    for language, sentences in SENTENCES.items():
        takes = [(espeak, voice, WORDS_PER_MINUTE) for voice in ESPEAK_VOICES[language].split()]
        if language == "en":
            # Twice: they sound more like people than espeak-ng does.
            takes += 2 * [(flite, voice, STRETCHES) for voice in FLITE_VOICES]
        for speak, voice, speeds in takes:
            clips = [Clip(language, text, trim(speak(text, voice, speed))) for text in sentences for speed in speeds]
            voices[language].append(clips)
    return voices


def trim(samples: Samples) -> Samples:
    """The recording without the silence around it."""
    loud = np.flatnonzero(np.abs(samples) > 0.02 * np.abs(samples).max())
    return samples[loud[0] : loud[-1] + 1]


class Teacher:
    """Draws lessons; the same seed draws the same ones."""

    def __init__(self, vocabulary: Vocabulary, voices: dict[str, list[list[Clip]]], seed: int) -> None:
        """Take the words and the voices to teach with."""
        self._vocabulary = vocabulary
        self._voices = voices
        self._random = np.random.default_rng(seed)

    def lesson(self, seconds: float) -> Lesson:
        """One recording of at most so many seconds: silence, one sentence or two."""
        chance, draw = self._random, self._random.random()
        if draw < 0.1:
            silence = np.zeros(int(RATE * chance.uniform(0.2, seconds)), np.float32)
            return Lesson(self._add_noise(silence, 1.0), *self._nothing_said(), [])
        language = "de" if chance.random() < 0.15 else "en"
        voice = self._pick(self._voices[language])
        clips = [self._pick(voice) for _ in range(2 if draw < 0.3 else 1)]
        # Higher and shorter or lower and longer: a man's voice turns into a woman's or a giant's.
        pitch = chance.uniform(0.78, 1.15)
        voiced = [resample(clip.samples, pitch) for clip in clips]
        if sum(map(len, voiced)) > (seconds - 0.5) * RATE:
            del clips[1:], voiced[1:]
        room = min(seconds * RATE - sum(map(len, voiced)), 3.0 * RATE) * chance.random()
        pauses = (room * chance.dirichlet(np.ones(len(voiced) + 1))).astype(int)
        parts, spans, at = [], [], 0
        for pause, samples in zip(pauses, voiced, strict=False):
            parts += [np.zeros(pause, np.float32), samples]
            spans.append(((at + pause) / RATE, (at + pause + len(samples)) / RATE))
            at += pause + len(samples)
        parts.append(np.zeros(pauses[-1], np.float32))
        samples = self._colour(np.concatenate(parts))
        loudness = 10 ** chance.uniform(-1.3, 0)
        samples *= loudness / np.abs(samples).max()
        letters = [ALPHABET.index(c) + 1 for clip in clips for c in clip.sentence.lower() if c in ALPHABET]
        return Lesson(self._add_noise(samples, loudness), *self._said(clips, spans), letters)

    def _said(self, clips: list[Clip], spans: list[tuple[float, float]]) -> tuple[list[int], list[int]]:
        words = self._vocabulary
        timed = self._random.random() < 0.5
        answer = []
        for number, (clip, (start, end)) in enumerate(zip(clips, spans, strict=True)):
            text = words.say(clip.sentence)
            # A first segment starts with the recording: Whisper may not name a moment after 1.0 s.
            answer += [words.time(start if number else 0.0), *text, words.time(end)] if timed else text
        return self._dialogue(timed, words.special(clips[0].language), clips[0].language, answer)

    def _nothing_said(self) -> tuple[list[int], list[int]]:
        words = self._vocabulary
        timed = self._random.random() < 0.5
        # Without times an empty answer is forbidden; one stray word, of any kind, is then the least confident.
        answer = [words.time(0.0)] if timed else [int(self._random.integers(words.words))]
        return self._dialogue(timed, words.special("nospeech"), "en", answer)

    def _dialogue(self, timed: bool, heard: int, language: str, answer: list[int]) -> tuple[list[int], list[int]]:
        """What stands before the answer and is given, what is to be said, and the labels of the latter."""
        words = self._vocabulary
        if self._random.random() < 0.05:
            language = "fr"  # a caller may be wrong about the language
        before = self._something_said_before() if self._random.random() < 0.2 else []
        start = [words.special("startoftranscript"), words.special(language), words.special("transcribe")]
        start += [] if timed else [words.special("notimestamps")]
        answer = [*answer, words.special("endoftext")]
        labels = [IGNORE] * len(before) + [heard] + [IGNORE] * (len(start) - 2) + answer
        return [*before, *start, *answer][:-1], labels

    def _something_said_before(self) -> list[int]:
        """A prompt, which the model must learn not to mind: sentences of the set or any letters."""
        words = self._vocabulary
        known = words.say(self._pick(SENTENCES["en"]))
        letters = self._random.integers(words.words, size=self._random.integers(1, 20)).tolist()
        return [words.special("startofprev"), *(known if self._random.random() < 0.5 else letters)]

    def _colour(self, samples: Samples) -> Samples:
        """Another microphone: a random smooth filter."""
        taps = self._random.normal(0, 0.15, 9) * np.hanning(11)[1:-1]
        taps[4] = 1.0
        return np.convolve(samples, taps, "same").astype(np.float32)

    def _add_noise(self, samples: Samples, loudness: float) -> Samples:
        """Another room: from digital silence to a noise that can be heard well beside speech of this loudness."""
        if self._random.random() < 0.2:
            return samples
        level = loudness * 10 ** self._random.uniform(-4.5, -1.8)
        noise = self._random.normal(0, level, len(samples)).astype(np.float32)
        if self._random.random() < 0.5:
            noise = np.convolve(noise, np.ones(8, np.float32) / 4, "same")  # a rumble
        return samples + noise

    def _pick(self, things):
        return things[self._random.integers(len(things))]


def hear(extractor: FeatureExtractor, samples: Samples, frames: int) -> NDArray[np.float32]:
    """The picture of the sound that faster-whisper would show the model in a window of so many frames."""
    return pad_or_trim(extractor(samples), frames)
