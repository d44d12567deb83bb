"""The real faster-whisper with a tiny checkpoint, on a voice that it was not trained on."""

import json
import re
import shutil
from pathlib import Path

import ctranslate2
import numpy as np
import pytest
from faster_whisper import WhisperModel

from shared.errors import NoSpeech, StartupError, UnsupportedLanguage
from stt_worker.child import Recognizer, load_in_child
from stt_worker.engines.faster_whisper import engine as faster_whisper
from stt_worker.engines.faster_whisper.engine import OnePassWhisper, load
from stt_worker.settings import SttSettings

pytestmark = pytest.mark.models

MODELS = Path(__file__).parents[1] / "speech_models"
TINY = MODELS / "tiny-whisper"
SAMPLES = MODELS / "samples"
SENTENCES: dict[str, str] = json.loads((SAMPLES / "sentences.json").read_text())


def settings(**values: object) -> SttSettings:
    return SttSettings(_env_file=None, **({"stt_model": str(TINY), "stt_device": "cpu"} | values))  # type: ignore[call-arg, arg-type]


@pytest.fixture(scope="module")
def recognizer() -> Recognizer:
    return load_in_child(settings())


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """One element for each pass of the encoder."""
    encoded: list[object] = []
    encode = WhisperModel.encode
    monkeypatch.setattr(
        WhisperModel, "encode", lambda self, features: encoded.append(features) or encode(self, features)
    )
    return encoded


def words(text: str) -> list[str]:
    return re.findall(r"[a-z']+", text.lower())


@pytest.mark.parametrize("sample", SENTENCES)
def test_held_out_voice_is_recognized_word_by_word(recognizer: Recognizer, sample: str) -> None:
    """A recording with a language hint gives its exact words, in that language, without surrounding space."""
    recognition = recognizer.recognize(SAMPLES / sample, "en")
    assert words(recognition.transcript.text) == words(SENTENCES[sample])
    assert recognition.transcript.language == "en"
    assert recognition.transcript.text == recognition.transcript.text.strip()


def test_language_is_detected_within_the_same_pass(recognizer: Recognizer, passes: list[object]) -> None:
    """Without a hint the encoder runs once, not twice as in the library, and the text is the same as with a hint."""
    assert len(load(settings()).languages) > 1
    passes.clear()
    sample = next(iter(SENTENCES))
    detected = recognizer.recognize(SAMPLES / sample, None).transcript
    assert len(passes) == 1
    hinted = recognizer.recognize(SAMPLES / sample, "en").transcript
    assert (detected.text, detected.language) == (hinted.text, hinted.language)


def test_detected_language_does_not_leak_into_the_next_recording(recognizer: Recognizer) -> None:
    """The kept first window of one recording is not used for another."""
    first, second = list(SENTENCES)[:2]
    expected = recognizer.recognize(SAMPLES / second, "en").transcript
    recognizer.recognize(SAMPLES / first, None)
    assert recognizer.recognize(SAMPLES / second, "en").transcript == expected


@pytest.mark.parametrize("loudness", [0.0, 0.01])
def test_silence_costs_no_encoder_pass(recognizer: Recognizer, passes: list[object], loudness: float) -> None:
    """Silence and noise are rejected before Whisper, which would invent words for them."""
    noise = np.random.default_rng(7).normal(0, 1, 32_000).astype(np.float32)
    with pytest.raises(NoSpeech):
        recognizer._engine.transcribe(noise * loudness, None)
    assert passes == []


def test_unsupported_language_is_rejected(recognizer: Recognizer) -> None:
    """A language that the model has no token for is an UnsupportedLanguage error."""
    with pytest.raises(UnsupportedLanguage):
        recognizer.recognize(SAMPLES / next(iter(SENTENCES)), "xx")


def test_model_name_is_not_a_path(recognizer: Recognizer) -> None:
    """A local model's name is its directory's name without the path."""
    assert (recognizer.name, recognizer.model) == ("faster-whisper", "tiny-whisper")


@pytest.mark.parametrize(("setting", "threads"), [(0, 8), (3, 3)])
def test_threads_follow_the_setting_or_the_container(
    monkeypatch: pytest.MonkeyPatch, setting: int, threads: int
) -> None:
    """STT_THREADS sets the number of threads; 0 takes the container's limit, 8 at most."""
    thread_counts = []
    initialize = OnePassWhisper.__init__
    monkeypatch.setattr(faster_whisper, "available_cpus", lambda: 64)
    monkeypatch.setattr(
        OnePassWhisper,
        "__init__",
        lambda self, *args, **kwargs: thread_counts.append(kwargs["cpu_threads"]) or initialize(self, *args, **kwargs),
    )
    load(settings(stt_threads=setting))
    assert thread_counts == [threads]


@pytest.mark.parametrize(
    ("variable", "values"),
    [
        ("STT_COMPUTE_TYPE", {"stt_compute_type": "int3"}),
        ("STT_LANGUAGE", {"stt_language": "klingon"}),
        ("STT_MODEL", {"stt_model": "/nowhere"}),
    ],
)
def test_startup_error_names_the_wrong_setting(variable: str, values: dict[str, object]) -> None:
    with pytest.raises(StartupError, match=variable):
        load(settings(**values))


@pytest.mark.skipif(ctranslate2.get_cuda_device_count() > 0, reason="there is a GPU")
def test_missing_gpu_is_a_startup_error() -> None:
    """STT_DEVICE=cuda without a GPU fails instead of running slowly."""
    with pytest.raises(StartupError, match="STT_DEVICE"):
        load(settings(stt_device="cuda"))


def test_damaged_model_is_a_startup_error(tmp_path: Path) -> None:
    """A truncated model file gives an error that names STT_MODEL but not the path."""
    shutil.copytree(TINY, tmp_path / "damaged")
    weights = (tmp_path / "damaged" / "model.bin").read_bytes()
    (tmp_path / "damaged" / "model.bin").write_bytes(weights[: len(weights) // 2])
    with pytest.raises(StartupError, match="STT_MODEL") as caught:
        load(settings(stt_model=str(tmp_path / "damaged")))
    assert str(tmp_path) not in str(caught.value)


def test_long_recording_is_transcribed_past_the_first_window(passes: list[object]) -> None:
    """Sound of more than 30 s takes several encoder passes."""
    whisper = OnePassWhisper(str(TINY), device="cpu", compute_type="int8")
    noise = np.random.default_rng(7).normal(0, 0.1, 45 * 16_000).astype(np.float32)
    segments, _ = whisper.transcribe(noise, language=None, beam_size=1, temperature=[0.0])
    list(segments)
    assert len(passes) >= 2
