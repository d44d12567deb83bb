"""Intelligibility of the voices, measured with a speech recognizer."""

import io
import wave
from pathlib import Path

import numpy as np
import pytest

from support.segments import store_segments
from tts_worker.child import load_in_child
from tts_worker.engine import Speech
from tts_worker.settings import TtsSettings
from tts_worker.wav import join

pocketsphinx = pytest.importorskip("pocketsphinx")
pytestmark = pytest.mark.models

TINY_VOICE = Path(__file__).parents[1] / "speech_models" / "tiny-piper" / "en_US-fixture-low.onnx"
RATE_HZ = 16_000


def recognized_words(speech: Speech, folder: Path) -> set[str]:
    """The words that pocketsphinx recognizes. `join` resamples the speech to its rate, as in a job."""
    quarter_second = Speech(np.zeros(RATE_HZ // 4, np.int16), RATE_HZ)
    joined = io.BytesIO()
    join(store_segments(folder, quarter_second, speech, quarter_second), joined)
    joined.seek(0)
    with wave.open(joined, "rb") as source:
        samples = np.frombuffer(source.readframes(source.getnframes()), np.int16)
    # Faint noise: between exact zeros, the recognizer's level estimate is wrong.
    noise = np.random.default_rng(1).normal(0, 30, len(samples))
    decoder = pocketsphinx.Decoder(lw=5.0, loglevel="FATAL")
    decoder.start_utt()
    decoder.process_raw(np.clip(samples + noise, -32768, 32767).astype(np.int16).tobytes(), full_utt=True)
    decoder.end_utt()
    hypothesis = decoder.hyp()
    return set(hypothesis.hypstr.split()) if hypothesis else set()


@pytest.mark.parametrize(
    ("engine", "voice"), [("espeak", "en-us"), ("piper", str(TINY_VOICE))], ids=["espeak", "piper"]
)
def test_sentence_is_recognized(engine: str, voice: str, tmp_path: Path) -> None:
    """A recognizer with a hundred thousand words recognizes the words of a synthesized sentence."""
    speech = load_in_child(TtsSettings(tts_engine=engine, tts_voice=voice)).synthesize(
        "I would like to hear some music.", "en", None
    )
    assert len({"would", "hear", "some", "music"} & recognized_words(speech, tmp_path)) >= 3
