"""Make a tiny real Piper voice from a voice of flite: stored pitch periods and a graph that looks them up. No weights.

The same input gives the same file. Needs flite on the PATH and requirements.txt. Usage: make_tiny_piper.py [OUT_DIR]
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnx
import piper_graph
from piper import PiperVoice, SynthesisConfig
from piper.phoneme_ids import DEFAULT_PHONEME_ID_MAP
from piper_periods import PERIOD, RATE, make_periods
from piper_phones import record_halves

HERE = Path(__file__).parent
NAME = "en_US-fixture-low.onnx"

CONFIG = {
    "audio": {"sample_rate": RATE, "quality": "low"},
    "espeak": {"voice": "en-us"},
    "phoneme_type": "espeak",
    "inference": {"noise_scale": 0.667, "length_scale": 1.0, "noise_w": 0.8},
    "language": {
        "code": "en_US",
        "family": "en",
        "region": "US",
        "name_native": "English",
        "name_english": "English",
        "country_english": "United States",
    },
    "dataset": "fixture",
    "num_symbols": 256,
    "num_speakers": 1,
    "speaker_id_map": {},
    "hop_length": PERIOD,
    "phoneme_map": {},
    "phoneme_id_map": DEFAULT_PHONEME_ID_MAP,
    "piper_version": "1.0.0",
}


def make(out: Path) -> Path:
    """Build the voice, write it, and return the model's path."""
    out.mkdir(parents=True, exist_ok=True)
    sentences = (HERE / "piper_corpus.txt").read_text().splitlines()
    onnx.save(piper_graph.build(make_periods(record_halves(sentences))), out / NAME)
    (out / f"{NAME}.json").write_text(json.dumps(CONFIG, ensure_ascii=False, indent=1) + "\n")
    return out / NAME


def check(path: Path) -> None:
    """Assert that Piper synthesizes with the voice, reproducibly, and slower with a larger length scale."""
    voice = PiperVoice.load(path)
    for text in ("Yes.", "What time is it?", "Hello, how are you today? Please turn on the kitchen light."):
        first, again, slow = (
            np.concatenate(
                [chunk.audio_float_array for chunk in voice.synthesize(text, SynthesisConfig(length_scale=s))]
            )
            for s in (1.0, 1.0, 1.5)
        )
        assert np.array_equal(first, again)
        assert 1.4 < len(slow) / len(first) < 1.6
        print(f"{text!r}: {len(first) / RATE:.2f} s")


if __name__ == "__main__":
    check(make(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "tiny-piper"))
