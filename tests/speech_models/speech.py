"""Speech of flite and espeak-ng, as 16 kHz mono samples between -1 and 1."""

import subprocess

import numpy as np
from numpy.typing import NDArray

RATE = 16_000
_HEADER = 44  # bytes before the samples of the plain WAV that both programs write

Samples = NDArray[np.float32]


def flite(text: str, voice: str, stretch: float = 1.0) -> Samples:
    """`text` in one of flite's voices; a `stretch` above one is slower."""
    return _run("flite", "-voice", voice, "--setf", f"duration_stretch={stretch}", "-t", text, "-o", "/dev/stdout")


def espeak(text: str, voice: str, words_per_minute: int = 165) -> Samples:
    """`text` in one of espeak-ng's voices, such as `en-us+f2`."""
    return _run("espeak-ng", "-v", voice, "-s", str(words_per_minute), "--stdout", text)


def resample(samples: Samples, factor: float) -> Samples:
    """The same sound in `factor` times as many samples; good enough for speech with added noise."""
    at = np.arange(int(len(samples) * factor)) / factor
    return np.interp(at, np.arange(len(samples)), samples).astype(np.float32)


def _run(*command: str) -> Samples:
    """The command's output. Not read by `wave`: into a pipe espeak-ng writes a length of two gigabytes."""
    wav = subprocess.run(command, check=True, capture_output=True).stdout
    rate = int.from_bytes(wav[24:28], "little")
    samples = np.frombuffer(wav[_HEADER:], "<i2").astype(np.float32) / 32768
    return samples if rate == RATE else resample(samples, RATE / rate)
