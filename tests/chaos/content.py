"""The transcript, the answer and the audio of each job, computed from the job's number alone."""

import io
import re
import wave

import numpy as np
from numpy.typing import NDArray

RATE_HZ = 16_000

#: A recording has this many samples plus its job's number, so that an engine can identify it by its length.
_BASE_SAMPLES = 1_600

#: The length of a letter's sound. Short, so that thousands of answers fit on a small volume.
_LETTER_SAMPLES = 40


def recording(number: int) -> bytes:
    """The WAV file that a client uploads."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
        file.writeframes(b"\1\0" * (_BASE_SAMPLES + number))
    return buffer.getvalue()


def number_from_samples(samples: int) -> int:
    """The job's number, from the length of its recording."""
    return samples - _BASE_SAMPLES


def transcript(number: int) -> str:
    return f"This is recording {number}."


def answer(number: int) -> str:
    """Two to six sentences. The first begins with a clause that is synthesized as a segment. Most segments name the
    job, so that the TTS engine can identify it."""
    more = (f"Point {index + 2} on recording {number}." for index in range(1 + number % 5))
    return " ".join([f"This is about recording {number}, which has been transcribed.", *more])


def number_from_text(text: str) -> int | None:
    """The number of the job that the text names; None if the text is not from this campaign or was damaged."""
    found = re.search(r"recording (\d+)", text)
    return int(found[1]) if found else None


def speech_samples(text: str) -> NDArray[np.int16]:
    """The synthesized text: a level for each letter, which shows a sentence that is missing, repeated or another job's.
    Spaces are silent: it must not matter where the answer is split into segments."""
    letters = [ord(letter) for letter in text if not letter.isspace()]
    return np.repeat(np.array(letters, np.int16) * 100, _LETTER_SAMPLES)


def without_pauses(samples: NDArray[np.int16]) -> NDArray[np.int16]:
    """The samples without the pauses between segments."""
    audible: NDArray[np.int16] = samples[samples != 0]
    return audible
