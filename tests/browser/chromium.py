"""Debian's Chromium, with a microphone that plays a file."""

import shutil
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from playwright.sync_api import Browser, Playwright

#: Never downloaded.
CHROMIUM = shutil.which("chromium")

_RATE_HZ = 48_000

#: The fake device begins when the page asks for it, and the recorder a little later.
_LEAD_S = 0.4


def microphone(question: Path, folder: Path) -> Path:
    """The question as the fake device wants it: 48 kHz, with silence before it."""
    with wave.open(str(question)) as file:
        rate_hz, data = file.getframerate(), file.readframes(file.getnframes())
    samples = np.frombuffer(data, np.int16)
    times = np.arange(0, samples.size / rate_hz, 1 / _RATE_HZ)
    resampled = np.interp(times, np.arange(samples.size) / rate_hz, samples).astype(np.int16)
    path = folder / "microphone.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(_RATE_HZ)
        file.writeframes(bytes(round(_LEAD_S * _RATE_HZ) * 2) + resampled.tobytes())
    return path


def with_microphone(playing: Path) -> list[str]:
    """What makes Chromium hear a file, and ask nobody whether it may."""
    return [
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        f"--use-file-for-fake-audio-capture={playing}%noloop",
    ]


@contextmanager
def chromium(playwright: Playwright, *arguments: str) -> Iterator[Browser]:
    """The browser, without a window."""
    browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", *arguments])
    yield browser
    browser.close()
