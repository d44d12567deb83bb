"""Record the demo's question and the tests' recordings with flite, in the tiny Whisper's held-out voice.

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

# Formats of browsers and telephones: codec and sample rate by the file's suffix.
CODECS = {
    "webm": ("libopus", 48_000),
    "ogg": ("libopus", 48_000),
    "m4a": ("aac", 44_100),
    "mp3": ("libmp3lame", 44_100),
    "flac": ("flac", RATE),
}


def main() -> None:
    """Write all recordings and their texts."""
    SAMPLES.mkdir(exist_ok=True)
    DEMO.mkdir(exist_ok=True)
    sentences = {}
    for sentence in SAMPLED:
        name = f"{normalize(sentence).replace(' ', '-')}.wav"
        write(SAMPLES / name, flite(sentence, HELD_OUT_VOICE))
        sentences[name] = sentence
    question = flite(QUESTION, HELD_OUT_VOICE)
    for suffix, (codec, rate) in CODECS.items():
        name = f"{normalize(QUESTION).replace(' ', '-')}.{suffix}"
        encode(SAMPLES / name, question, codec, rate)
        sentences[name] = QUESTION
    (SAMPLES / "sentences.json").write_text(json.dumps(sentences, indent=2) + "\n")

    write(DEMO / "question.wav", question)
    (DEMO / "question.txt").write_text(normalize(QUESTION) + "\n")


def normalize(sentence: str) -> str:
    """Return the sentence as pocketsphinx writes it."""
    return sentence.lower().strip("?.").replace(",", "")


def pcm(samples: Samples) -> np.ndarray:
    """Return the samples as 16-bit integers."""
    return np.round(samples * 32768).clip(-32768, 32767).astype("<i2")


def write(path: Path, samples: Samples) -> None:
    """Write the samples as 16-bit mono."""
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(RATE)
        out.writeframes(pcm(samples).tobytes())


def encode(path: Path, samples: Samples, codec: str, rate: int) -> None:
    """Write the samples as compressed mono."""
    frame = av.AudioFrame.from_ndarray(pcm(samples)[None], format="s16", layout="mono")
    frame.rate = RATE
    # Reproducible bytes: without this flag a WebM file contains a random number.
    with av.open(str(path), "w", options={"fflags": "+bitexact"}) as out:
        stream = out.add_stream(codec, rate=rate, layout="mono")
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            out.mux(packet)


if __name__ == "__main__":
    main()
