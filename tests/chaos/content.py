"""What each job says and how its answer must sound, so that both can be computed from the job's number alone."""

import io
import re
import wave

import numpy as np
from numpy.typing import NDArray

RATE_HZ = 16_000

#: A recording holds this many samples and its job's number; the engine that counts them knows whose it is.
_BASE_SAMPLES = 1_600

#: How long a letter sounds. Few, so that thousands of answers fit on a small volume.
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


def number_heard(samples: int) -> int:
    return samples - _BASE_SAMPLES


def transcript(number: int) -> str:
    return f"This is recording {number}."


def answer(number: int) -> str:
    """Two to six sentences, of which the first begins with a clause that is spoken by itself. Most pieces name the job,
    so that the engine that speaks them knows whose they are."""
    more = (f"Point {index + 2} on recording {number}." for index in range(1 + number % 5))
    return " ".join([f"This is about recording {number}, which I have heard.", *more])


def number_named(text: str) -> int | None:
    """None if the text is not one of this campaign's: something has been lost on the way."""
    found = re.search(r"recording (\d+)", text)
    return int(found[1]) if found else None


def sound(text: str) -> NDArray[np.int16]:
    """A level for each letter, so that a sentence that is missing, doubled or another job's shows. Blanks make no
    sound: where the answer is cut into segments must not matter."""
    letters = [ord(letter) for letter in text if not letter.isspace()]
    return np.repeat(np.array(letters, np.int16) * 100, _LETTER_SAMPLES)


def spoken(samples: NDArray[np.int16]) -> NDArray[np.int16]:
    """`samples` without the pauses between segments."""
    audible: NDArray[np.int16] = samples[samples != 0]
    return audible
