"""The codebook of the voice: its waveforms, and the waveforms of each half of a phoneme.

A frame is one pitch period: a spectral shape of the codebook times a gain. A voiced shape is one period that is
repeated, a shape with noise in it is several that differ.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from piper_phones import PAUSES, SILENCE, VOWELS, Half, Recordings

RATE = 22_050
PERIOD = 138  # samples: 159.8 Hz, the pitch of the voice
VARIANTS = 8  # periods of a shape with noise in it
# Kinds of excitation.
VOICED = 0
MIXED = 1
NOISE = 2
CODES = {VOICED: 448, MIXED: 48, NOISE: 112}

_FLITE_RATE = 16_000
_HARMONICS = int(7800 / (RATE / PERIOD))  # up to the limit of flite's 16 kHz
_VOICED_FRICATIVES = set("vzðʒ")
_UNVOICED = set("pktfθsʃhʔ")
_PITCH = np.arange(1, _HARMONICS + 1) * RATE / PERIOD  # Hz of each harmonic

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Periods:
    """The graph's lookup tables."""

    table: NDArray[np.int16]  # the waveforms, one period per row
    code_row: list[int]  # of each code, its first row in the table
    code_varies: list[int]  # of each code, 1 if the next rows are its variants
    frame_code: list[int]  # of each frame, its code
    frame_gain: NDArray[np.float32]
    halves: dict[Half, tuple[int, int]]  # of each half, its first frame and number of frames
    pauses: dict[str, tuple[int, int, int, int]]  # the same for the left and the right half of each pause


def make_periods(recordings: Recordings) -> Periods:
    """Turn the recordings into frames, and the frames into a codebook."""
    shapes, gains, kinds = [], [], []
    frames: dict[Half, range] = {}
    for half, segments in sorted(recordings.halves.items()):
        phoneme = half[1]
        if phoneme == SILENCE:
            continue
        segments = sorted(segments)
        median = segments[len(segments) // 2]
        count = max(1, round(median.seconds / (PERIOD / RATE)))
        frames[half] = range(len(shapes), len(shapes) + count)
        for i in range(count):
            moment = median.start + (i + 0.5) * (median.end - median.start) / count
            response, loudness, voicing = _envelope(recordings.sounds[median.recording], moment)
            shapes.append(np.log(np.abs(response) + 1e-9))
            gains.append(loudness)
            kinds.append(_kind(phoneme, voicing))
    table, code_row, code_varies, codes = _codebook(np.array(shapes), np.array(kinds))

    frame_code, frame_gain, halves, pauses = [], [], {}, {}
    for half, numbers in frames.items():
        halves[half] = (len(frame_code), len(numbers))
        frame_code += [int(codes[i]) for i in numbers]
        frame_gain += [float(gains[i]) for i in numbers]
    silent = len(code_row) - 1
    for symbol, seconds in PAUSES.items():
        count = max(2, round(seconds / (PERIOD / RATE)))
        first, left = len(frame_code), count // 2
        pauses[symbol] = (first, left, first + left, count - left)
        frame_code += [silent] * count
        frame_gain += [0.0] * count

    peak = np.abs(table).max()
    table16 = np.round(table / peak * 32767).astype(np.int16)
    gain = np.array(frame_gain, np.float32) * peak
    peaks = np.array([np.abs(table16[code_row[code]]).max() / 32767 for code in frame_code])
    loud = gain > 0
    gain *= 0.9 / np.quantile(gain[loud] * peaks[loud], 0.999)
    return Periods(table16, code_row, code_varies, frame_code, (gain / 32767).astype(np.float32), halves, pauses)


def _kind(phoneme: str, voicing: float) -> int:
    if phoneme in _VOICED_FRICATIVES:
        return MIXED
    return VOICED if phoneme in VOWELS or (voicing > 0.45 and phoneme not in _UNVOICED) else NOISE


def _envelope(sound: Floats, seconds: float) -> tuple[NDArray[np.complex128], float, float]:
    """Linear prediction around a moment: the response at the harmonics, the loudness, and the periodicity."""
    size, order = 400, 20
    centre = int(seconds * _FLITE_RATE)
    window = np.zeros(size)
    first, last = max(0, centre - size // 2), min(len(sound), centre + size // 2)
    window[first - (centre - size // 2) : last - (centre - size // 2)] = sound[first:last]
    loudness = np.sqrt(np.mean(window[100:300] ** 2))
    sharpened = np.append(window[0], window[1:] - 0.9 * window[:-1]) * np.hamming(size)
    correlation = np.correlate(sharpened, sharpened, "full")[size - 1 : size + order]
    correlation = correlation * np.exp(-0.5 * (2 * np.pi * 40 / _FLITE_RATE * np.arange(order + 1)) ** 2)
    correlation[0] = correlation[0] * 1.0001 + 1e-9
    matrix = correlation[np.abs(np.subtract.outer(np.arange(order), np.arange(order)))]
    prediction = np.append(1.0, -np.linalg.solve(matrix, correlation[1 : order + 1]))
    omega = 2 * np.pi * np.arange(1, _HARMONICS + 1) * (RATE / PERIOD) / _FLITE_RATE
    inverse = np.exp(-1j * np.outer(omega, np.arange(order + 1))) @ prediction
    response = 1 / (inverse * (1 - 0.9 * np.exp(-1j * omega)))
    around = sound[max(0, centre - 256) : centre + 256]
    voicing = 0.0
    if len(around) == 512 and loudness > 1e-4:
        around = around - np.mean(around)
        echo = np.correlate(around, around, "full")[511:]
        voicing = echo[60:135].max() / (echo[0] + 1e-12)
    return response, loudness, voicing


def _codebook(shapes: Floats, kinds: NDArray[np.int64]) -> tuple[Floats, list[int], list[int], NDArray[np.int64]]:
    """The waveforms, each code's first row and 1 if it has variants, each frame's code; the last code is silence."""
    shapes = shapes - shapes.mean(1, keepdims=True)
    weight = 1 / np.sqrt(1 + (np.arange(_HARMONICS) / 12.0))
    noise_phase = np.random.default_rng(1).uniform(0, 2 * np.pi, PERIOD * VARIANTS // 2 + 1)
    table: list[Floats] = []
    code_row, code_varies = [], []
    frame_code = np.zeros(len(shapes), np.int64)
    for kind, size in CODES.items():
        members = np.flatnonzero(kinds == kind)
        centres, nearest = _kmeans(shapes[members] * weight, size, seed=kind)
        frame_code[members] = len(code_row) + nearest
        for shape in centres / weight:
            rows = _waveform(shape, kind, noise_phase)
            code_row.append(len(table))
            code_varies.append(int(len(rows) > 1))
            table += list(rows)
    code_row.append(len(table))
    code_varies.append(0)
    table.append(np.zeros(PERIOD))
    return np.array(table), code_row, code_varies, frame_code


def _waveform(shape: Floats, kind: int, noise_phase: Floats) -> Floats:
    """One period of the spectral shape, or its variants if it contains noise."""
    amplitude = np.exp(shape - shape.max())
    length = PERIOD * VARIANTS
    wave = np.zeros(length)
    if kind != NOISE:
        spectrum = np.zeros(PERIOD // 2 + 1, complex)
        mask = np.ones(_HARMONICS) if kind == VOICED else (_PITCH < 2500)
        spectrum[1 : _HARMONICS + 1] = amplitude * mask * np.exp(1j * _minimum_phase(shape))
        wave += np.tile(np.fft.irfft(spectrum, PERIOD) * PERIOD, VARIANTS)
    if kind != VOICED:
        frequencies = np.fft.rfftfreq(length, 1 / RATE)
        mask = (frequencies >= 2500 if kind == MIXED else frequencies > 60) * (frequencies <= _PITCH[-1])
        levels = np.interp(frequencies, _PITCH, amplitude, left=0, right=0) * mask
        wave += np.fft.irfft(levels * np.exp(1j * noise_phase) / np.sqrt(VARIANTS), length) * length
    wave /= np.sqrt(np.mean(wave**2)) + 1e-9
    rows = 1 if kind == VOICED else VARIANTS
    return wave[: PERIOD * rows].reshape(rows, PERIOD)


def _minimum_phase(shape: Floats) -> Floats:
    """The minimum phases for the log amplitudes: those of a sound with an abrupt onset, as a voice's pulse."""
    grid = np.interp(np.arange(PERIOD // 2 + 1) * RATE / PERIOD, _PITCH, shape, left=shape[0], right=shape[-1] - 6)
    cepstrum = np.fft.irfft(grid, PERIOD)
    folded = np.zeros(PERIOD)
    half = PERIOD // 2
    folded[0], folded[1:half], folded[half] = cepstrum[0], 2 * cepstrum[1:half], cepstrum[half]
    return np.imag(np.fft.rfft(folded))[1 : _HARMONICS + 1]


def _kmeans(points: Floats, count: int, seed: int) -> tuple[Floats, NDArray[np.int64]]:
    """The centres of `count` clusters, and the nearest centre of each point."""

    def nearest() -> NDArray[np.int64]:
        return ((centres**2).sum(1)[None] - 2 * points @ centres.T).argmin(1)

    rng = np.random.default_rng(seed)
    count = min(count, len(points))
    centres = points[rng.choice(len(points), count, replace=False)].copy()
    for _ in range(25):
        closest = nearest()
        for i in range(count):
            members = closest == i
            centres[i] = points[members].mean(0) if members.any() else points[rng.integers(len(points))]
    return centres, nearest()
