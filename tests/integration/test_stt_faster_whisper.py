"""The real faster-whisper on a tiny checkpoint hears a voice that it was not trained on."""

import json
import re
import shutil
from pathlib import Path

import ctranslate2
import numpy as np
import pytest
from faster_whisper import WhisperModel

from shared.errors import NoSpeech, StartupError, UnsupportedLanguage
from stt_worker.child import Recognizer, load_recognizer
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
    return load_recognizer(settings())


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """One element for each pass of the encoder."""
    seen: list[object] = []
    whole = WhisperModel.encode
    monkeypatch.setattr(WhisperModel, "encode", lambda self, features: seen.append(features) or whole(self, features))
    return seen


def words(text: str) -> list[str]:
    return re.findall(r"[a-z']+", text.lower())


@pytest.mark.parametrize("sample", SENTENCES)
def test_a_held_out_voice_is_heard_word_by_word(recognizer: Recognizer, sample: str) -> None:
    """From the file to the text, in the language that the caller names."""
    recognition = recognizer.recognize(SAMPLES / sample, "en")
    assert words(recognition.transcript.text) == words(SENTENCES[sample])
    assert recognition.transcript.language == "en"
    assert recognition.transcript.text == recognition.transcript.text.strip()


def test_the_language_is_detected_within_the_same_pass(recognizer: Recognizer, passes: list[object]) -> None:
    """Without a hint the encoder runs once, not twice as in the library, and the text is the same."""
    assert len(load(settings()).languages) > 1
    passes.clear()
    sample = next(iter(SENTENCES))
    detected = recognizer.recognize(SAMPLES / sample, None).transcript
    assert len(passes) == 1
    named = recognizer.recognize(SAMPLES / sample, "en").transcript
    assert (detected.text, detected.language) == (named.text, named.language)


def test_a_detected_language_does_not_leak_into_the_next_recording(recognizer: Recognizer) -> None:
    """What was kept of one recording is used for that one only."""
    first, second = list(SENTENCES)[:2]
    alone = recognizer.recognize(SAMPLES / second, "en").transcript
    recognizer.recognize(SAMPLES / first, None)
    assert recognizer.recognize(SAMPLES / second, "en").transcript == alone


@pytest.mark.parametrize("loudness", [0.0, 0.01])
def test_silence_never_costs_an_encoder_pass(recognizer: Recognizer, passes: list[object], loudness: float) -> None:
    """Whisper invents words for silence, slowly; it is not asked."""
    noise = np.random.default_rng(7).normal(0, 1, 32_000).astype(np.float32)
    with pytest.raises(NoSpeech):
        recognizer._engine.transcribe(noise * loudness, None)
    assert passes == []


def test_an_unknown_language_is_the_callers_mistake(recognizer: Recognizer) -> None:
    """A code that the model has no token for is refused before it computes."""
    with pytest.raises(UnsupportedLanguage):
        recognizer.recognize(SAMPLES / next(iter(SENTENCES)), "xx")


def test_the_models_name_is_no_path(recognizer: Recognizer) -> None:
    """The job's status shows the directory's own name."""
    assert (recognizer.name, recognizer.model) == ("faster-whisper", "tiny-whisper")


@pytest.mark.parametrize(("asked", "threads"), [(0, 8), (3, 3)])
def test_the_threads_follow_the_setting_or_the_container(
    monkeypatch: pytest.MonkeyPatch, asked: int, threads: int
) -> None:
    """STT_THREADS as it is; without it what the container may use, 8 at most."""
    seen = []
    build = OnePassWhisper.__init__
    monkeypatch.setattr(faster_whisper, "available_cpus", lambda: 64)
    monkeypatch.setattr(
        OnePassWhisper,
        "__init__",
        lambda self, *args, **kwargs: seen.append(kwargs["cpu_threads"]) or build(self, *args, **kwargs),
    )
    load(settings(stt_threads=asked))
    assert seen == [threads]


@pytest.mark.parametrize(
    ("variable", "values"),
    [
        ("STT_COMPUTE_TYPE", {"stt_compute_type": "int3"}),
        ("STT_LANGUAGE", {"stt_language": "klingon"}),
        ("STT_MODEL", {"stt_model": "/nowhere"}),
    ],
)
def test_a_wrong_setting_is_named_at_startup(variable: str, values: dict[str, object]) -> None:
    """One line that says which variable to change."""
    with pytest.raises(StartupError, match=variable):
        load(settings(**values))


@pytest.mark.skipif(ctranslate2.get_cuda_device_count() > 0, reason="there is a GPU")
def test_a_missing_gpu_is_named_at_startup() -> None:
    """STT_DEVICE=cuda without a GPU is not silently slow."""
    with pytest.raises(StartupError, match="STT_DEVICE"):
        load(settings(stt_device="cuda"))


def test_a_damaged_model_is_named_at_startup(tmp_path: Path) -> None:
    """A half-copied file is one line about STT_MODEL, without its path."""
    shutil.copytree(TINY, tmp_path / "damaged")
    weights = (tmp_path / "damaged" / "model.bin").read_bytes()
    (tmp_path / "damaged" / "model.bin").write_bytes(weights[: len(weights) // 2])
    with pytest.raises(StartupError, match="STT_MODEL") as caught:
        load(settings(stt_model=str(tmp_path / "damaged")))
    assert str(tmp_path) not in str(caught.value)


def test_a_long_recording_is_heard_past_the_first_window(passes: list[object]) -> None:
    """Sound of more than 30 s takes more passes than one; nothing is cut off."""
    whisper = OnePassWhisper(str(TINY), device="cpu", compute_type="int8")
    noise = np.random.default_rng(7).normal(0, 0.1, 45 * 16_000).astype(np.float32)
    segments, _ = whisper.transcribe(noise, language=None, beam_size=1, temperature=[0.0])
    list(segments)
    assert len(passes) >= 2
