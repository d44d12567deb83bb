"""pocketsphinx recognizes the demonstration's question, and finds no words in silence or noise."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from shared.errors import NoSpeech, StartupError, UnsupportedLanguage
from stt_worker.audio import decode
from stt_worker.child import Recognizer, load_in_child
from stt_worker.engines.vad import trim
from stt_worker.settings import SttSettings

pytestmark = pytest.mark.models

ROOT = Path(__file__).parents[2]
QUESTION = ROOT / "cli" / "samples" / "question.wav"


def settings(**values: object) -> SttSettings:
    return SttSettings(_env_file=None, stt_engine="pocketsphinx", **values)  # type: ignore[call-arg, arg-type]


@pytest.fixture(scope="module")
def recognizer() -> Recognizer:
    return load_in_child(settings())


def words(text: str) -> list[str]:
    return re.findall(r"[a-z']+", text.lower())


def test_sample_question_is_recognized_word_by_word(recognizer: Recognizer) -> None:
    """The recording that `make demo` sends gives the text of its .txt file."""
    recognition = recognizer.recognize(QUESTION, None)
    assert words(recognition.transcript.text) == words(QUESTION.with_suffix(".txt").read_text())
    assert recognition.transcript.language == "en"
    assert (recognizer.name, recognizer.model) == ("pocketsphinx", "en-us")


def test_same_recording_gives_the_same_text(recognizer: Recognizer) -> None:
    """Another recording in between does not change the text: the noise is seeded and each gets a new decoder."""
    first = recognizer.recognize(QUESTION, "en").transcript
    others = json.loads((ROOT / "tests" / "speech_models" / "samples" / "sentences.json").read_text())
    recognizer.recognize(ROOT / "tests" / "speech_models" / "samples" / next(iter(others)), "en")
    assert recognizer.recognize(QUESTION, "en").transcript == first


@pytest.mark.parametrize("loudness", [0.0, 0.01])
def test_silence_and_noise_are_no_speech(recognizer: Recognizer, loudness: float) -> None:
    """Exact zeros and white noise raise NoSpeech."""
    noise = np.random.default_rng(7).normal(0, 1, 32_000).astype(np.float32)
    with pytest.raises(NoSpeech):
        recognizer._engine.transcribe(noise * loudness, None)


def test_other_languages_are_rejected(recognizer: Recognizer) -> None:
    """A hint for German is an UnsupportedLanguage error, since the text would be English nonsense."""
    with pytest.raises(UnsupportedLanguage):
        recognizer.recognize(QUESTION, "de")


def test_other_default_language_is_a_startup_error() -> None:
    """STT_LANGUAGE=de with an English recognizer fails at startup."""
    with pytest.raises(StartupError, match="STT_LANGUAGE"):
        load_in_child(settings(stt_language="de"))


def test_only_the_ends_are_trimmed(recognizer: Recognizer) -> None:
    """Silence before and after speech is cut, a long pause between two sentences stays."""
    speech = decode(QUESTION, 60)
    silence = np.zeros(48_000, np.float32)
    trimmed = trim(np.concatenate([silence, speech, silence, speech, silence]))
    assert trimmed is not None
    middle = silence.size + 2 * speech.size
    assert middle - 32_000 < trimmed.size < middle + 12_800
    assert trim(silence) is None
