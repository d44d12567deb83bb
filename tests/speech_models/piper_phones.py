"""Piper's phonemes as flite's phones, and flite's recordings of them, split into halves of phonemes."""

import subprocess
import tempfile
import wave
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from piper.phonemize_espeak import EspeakPhonemizer

VOICE = "slt"
SILENCE = "SIL"

_IPA = "b d f h j k l m n p s t v w z ŋ ð θ ʃ ʒ ɡ ɹ ɾ ʔ æ ɐ ɑ ɔ ə ɚ ɛ ɜ ɪ ʊ ʌ i u ᵻ a e o"
_CMU = "b d f hh y k l m n p s t v w z ng dh th sh zh g r d t ae ax aa ao ax er eh er ih uh ah iy uw ih aa eh ao"
CMU = dict(zip(_IPA.split(), _CMU.split(), strict=True))
VOWELS = set("æɐɑɔəɚɛɜɪʊʌiuᵻaeo")

# Pairs of Piper's codepoints that are one phone of flite, and the fraction at which to split it if not in the middle.
_MERGED = {("a", "ɪ"): "ay", ("a", "ʊ"): "aw", ("ɔ", "ɪ"): "oy", ("e", "ɪ"): "ey", ("o", "ʊ"): "ow"}
_MERGED |= {("t", "ʃ"): "ch", ("d", "ʒ"): "jh"}
_SPLIT_AT = {"ch": 0.45, "jh": 0.45}

# Seconds of silence for the symbols that stand for a pause.
PAUSES = {"^": 0.06, "$": 0.06, ",": 0.16, ";": 0.16, ":": 0.16, ".": 0.10, "?": 0.10, "!": 0.10}

Phone = tuple[str, list[str]]  # flite's name, and the codepoints it stands for
_PAUSE: Phone = ("pau", [SILENCE])

Half = tuple[str, str, str]  # "L" or "R", the phoneme, and its neighbour on that side


@dataclass(frozen=True, order=True)
class Segment:
    """A time range of a recording; ordered by length, for the median."""

    seconds: float
    recording: int
    start: float
    end: float


class Recordings:
    """All sounds that flite made, and the segments that contain each half of a phoneme."""

    def __init__(self) -> None:
        self.sounds: list[NDArray[np.float64]] = []
        self.halves: dict[Half, list[Segment]] = {}

    def add(self, phones: list[Phone]) -> None:
        """Synthesize the phones and add their halves."""
        samples, ends = _flite([name for name, _ in phones])
        self.sounds.append(samples)
        spans = []
        start = 0.0
        for (name, codepoints), end in zip(phones, ends, strict=True):
            if len(codepoints) == 2:
                middle = start + (end - start) * _SPLIT_AT.get(name.rstrip("1"), 0.5)
                spans += [(codepoints[0], start, middle), (codepoints[1], middle, end)]
            else:
                spans.append((codepoints[0], start, end))
            start = end
        for i, (phoneme, begin, end) in enumerate(spans):
            middle = (begin + end) / 2
            if i:
                self._add_half(("L", phoneme, spans[i - 1][0]), middle - begin, begin, middle)
            if i + 1 < len(spans):
                self._add_half(("R", phoneme, spans[i + 1][0]), end - middle, middle, end)

    def _add_half(self, half: Half, seconds: float, start: float, end: float) -> None:
        self.halves.setdefault(half, []).append(Segment(seconds, len(self.sounds) - 1, start, end))


def record_halves(sentences: list[str]) -> Recordings:
    """Synthesize the sentences, then a nonsense word for every pair of phonemes that none of them contains."""
    recordings = Recordings()
    phonemizer = EspeakPhonemizer()
    for sentence in sentences:
        for codepoints in phonemizer.phonemize("en-us", sentence):
            recordings.add(_phones(codepoints))
    schwa: Phone = ("ax", ["ə"])
    for a in CMU:
        for b in CMU:
            if ("R", a, b) in recordings.halves and ("L", b, a) in recordings.halves:
                continue
            pair = [(_MERGED[a, b], [a, b])] if (a, b) in _MERGED else [(CMU[a], [a]), (CMU[b], [b])]
            before = [] if a in VOWELS else [schwa]
            after = [] if b in VOWELS else [schwa]
            recordings.add([_PAUSE, *before, *pair, *after, _PAUSE])
        recordings.add([_PAUSE, (CMU[a], [a]), schwa, _PAUSE])
        recordings.add([_PAUSE, schwa, (CMU[a], [a]), _PAUSE])
    return recordings


def _phones(codepoints: list[str]) -> list[Phone]:
    """The phonemized sentence as flite's phones, with a 1 after a stressed vowel."""
    symbols = []
    stress = False
    for codepoint in codepoints:
        if codepoint == "ˈ":
            stress = True
        elif codepoint in CMU:
            symbols.append((codepoint, stress and codepoint in VOWELS))
            stress = stress and codepoint not in VOWELS
        elif codepoint in PAUSES or codepoint == "ː":
            symbols.append((codepoint, False))
    phones = [_PAUSE]
    i = 0
    while i < len(symbols):
        codepoint, stressed = symbols[i]
        mark = "1" if stressed else ""
        pair = (codepoint, symbols[i + 1][0]) if i + 1 < len(symbols) else None
        i += 1
        if pair in _MERGED:
            phones.append((_MERGED[pair] + mark, list(pair)))
            i += 1
        elif codepoint in CMU:
            phones.append((CMU[codepoint] + mark, [codepoint]))
        elif codepoint in PAUSES and phones[-1] != _PAUSE:
            phones.append(_PAUSE)
    return phones if phones[-1] == _PAUSE else [*phones, _PAUSE]


def _flite(phones: list[str]) -> tuple[NDArray[np.float64], list[float]]:
    """Flite's sound for the phones, and the end of each in seconds."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "phones.wav"
        command = ["flite", "-voice", VOICE, "-p", " ".join(phones), "-psdur", "-o", str(path)]
        printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
        with wave.open(str(path)) as wav:
            samples = np.frombuffer(wav.readframes(wav.getnframes()), "<i2").astype(np.float64) / 32768
    return samples, [float(word.split(":")[1]) for word in printed]
