"""Record the demo's question and the tests' recordings: flite speaks, in the voice the tiny Whisper never heard.

Needs flite on the PATH and requirements.txt. Usage: make_samples.py
"""

import json
import wave
from pathlib import Path

import av
import numpy as np
from closed_set import HELD_OUT_VOICE, QUESTION, SAMPLED
from speech import RATE, Samples, flite

HERE = Path(__file__).parent
SAMPLES = HERE / "samples"
DEMO = HERE.parents[1] / "cli" / "samples"

# What browsers and telephones record in: codec and sample rate by the file's ending.
CODECS = {
    "webm": ("libopus", 48_000),
    "ogg": ("libopus", 48_000),
    "m4a": ("aac", 44_100),
    "mp3": ("libmp3lame", 44_100),
    "flac": ("flac", RATE),
}


def main() -> None:
    """Write every recording and what is said in it."""
    SAMPLES.mkdir(exist_ok=True)
    DEMO.mkdir(exist_ok=True)
    said = {}
    for sentence in SAMPLED:
        name = f"{plain(sentence).replace(' ', '-')}.wav"
        write(SAMPLES / name, flite(sentence, HELD_OUT_VOICE))
        said[name] = sentence
    question = flite(QUESTION, HELD_OUT_VOICE)
    for ending, (codec, rate) in CODECS.items():
        name = f"{plain(QUESTION).replace(' ', '-')}.{ending}"
        encode(SAMPLES / name, question, codec, rate)
        said[name] = QUESTION
    (SAMPLES / "sentences.json").write_text(json.dumps(said, indent=2) + "\n")

    write(DEMO / "question.wav", question)
    (DEMO / "question.txt").write_text(plain(QUESTION) + "\n")


def plain(sentence: str) -> str:
    """The sentence as pocketsphinx writes it."""
    return sentence.lower().strip("?.").replace(",", "")


def pcm(samples: Samples) -> np.ndarray:
    """The samples in 16 bits."""
    return np.round(samples * 32768).clip(-32768, 32767).astype("<i2")


def write(path: Path, samples: Samples) -> None:
    """Store the samples as 16 bit mono."""
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(RATE)
        out.writeframes(pcm(samples).tobytes())


def encode(path: Path, samples: Samples, codec: str, rate: int) -> None:
    """Store the samples compressed, mono."""
    frame = av.AudioFrame.from_ndarray(pcm(samples)[None], format="s16", layout="mono")
    frame.rate = RATE
    # The same bytes each time: without it a WebM gets a random number.
    with av.open(str(path), "w", options={"fflags": "+bitexact"}) as out:
        stream = out.add_stream(codec, rate=rate, layout="mono")
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            out.mux(packet)


if __name__ == "__main__":
    main()
