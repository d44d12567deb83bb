"""Debian's Chromium, with a microphone that plays a file."""

import shutil
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from playwright.sync_api import Browser, Playwright

#: The system's browser. Tests download none.
CHROMIUM = shutil.which("chromium")

_RATE_HZ = 48_000

#: Silence before the question: the fake device starts when the page opens it, and the recorder a little later.
_LEAD_S = 0.4


def make_microphone_file(question: Path, folder: Path) -> Path:
    """Write the question as the fake microphone requires it: at 48 kHz, after some silence. Return the file."""
    with wave.open(str(question)) as file:
        rate_hz = file.getframerate()
        data = file.readframes(file.getnframes())
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


def microphone_arguments(recording: Path) -> list[str]:
    """Arguments with which Chromium's microphone plays a file, and permission is granted without a dialog."""
    return [
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        f"--use-file-for-fake-audio-capture={recording}%noloop",
    ]


@contextmanager
def chromium(playwright: Playwright, *arguments: str) -> Iterator[Browser]:
    """Run the browser without a window."""
    browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", *arguments])
    yield browser
    browser.close()
