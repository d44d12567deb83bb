"""The recognizer passes samples and a language to the engine, and translates its errors."""

import pickle
import wave
from pathlib import Path

import pytest

from shared.errors import AudioTooLong, EngineError, NoSpeech, StartupError
from stt_worker.child import Recognizer, load_in_child
from stt_worker.engine import Samples, Transcript
from stt_worker.settings import SttSettings


class EchoEngine:
    """An engine whose transcript states its input."""

    name = "echo"
    model = "none"

    def transcribe(self, samples: Samples, language: str | None) -> Transcript:
        return Transcript(f"{samples.size} samples", language or "detected")


class FailingEngine:
    """An engine that raises the error of its constructor."""

    name = "failing"
    model = "none"

    def __init__(self, error: Exception) -> None:
        self.error = error

    def transcribe(self, samples: Samples, language: str | None) -> Transcript:
        raise self.error


def settings(**values: object) -> SttSettings:
    return SttSettings(_env_file=None, **values)  # type: ignore[call-arg, arg-type]


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """A WAV file of half a second."""
    with wave.open(str(tmp_path / "rec"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes(bytes(16_000))
    return tmp_path / "rec"


@pytest.mark.parametrize(
    ("hint", "setting", "language"),
    [
        (None, "", "detected"),
        (None, "de", "de"),
        ("fr", "de", "fr"),
        ("en-US", "", "en"),
        ("", "", "detected"),
    ],
)
def test_hint_overrides_the_language_setting(recording: Path, hint: str | None, setting: str, language: str) -> None:
    """The engine gets the request's hint without its region, else STT_LANGUAGE, else None for detection."""
    recognition = Recognizer(EchoEngine(), settings(stt_language=setting)).recognize(recording, hint)
    assert recognition.transcript == Transcript("8000 samples", language)
    assert recognition.duration_s == 0.5


def test_recording_over_the_limit_never_reaches_the_engine(recording: Path) -> None:
    """A recording longer than STT_MAX_AUDIO_S is AudioTooLong before the engine is called."""
    recognizer = Recognizer(FailingEngine(AssertionError("called")), settings(stt_max_audio_s=0.4))
    with pytest.raises(AudioTooLong):
        recognizer.recognize(recording, None)


def test_runtime_error_of_a_library_is_a_retryable_engine_error(recording: Path) -> None:
    """A RuntimeError of the engine becomes EngineError, without the library's text in the public message."""
    with pytest.raises(EngineError) as caught:
        Recognizer(FailingEngine(RuntimeError("CUDA failed with /secret/path")), settings()).recognize(recording, None)
    assert caught.value.retryable
    assert "secret" not in caught.value.public_message


def test_input_error_of_the_engine_is_passed_on(recording: Path) -> None:
    """NoSpeech of the engine reaches the caller unchanged."""
    with pytest.raises(NoSpeech):
        Recognizer(FailingEngine(NoSpeech()), settings()).recognize(recording, None)


def test_recognizer_has_its_engines_name_and_model() -> None:
    recognizer = Recognizer(EchoEngine(), settings())
    assert (recognizer.name, recognizer.model) == ("echo", "none")


def test_loader_can_be_pickled_for_a_child_process() -> None:
    """`load_in_child` and its settings survive pickling."""
    load, received = pickle.loads(pickle.dumps((load_in_child, settings(stt_engine="unknown"))))
    with pytest.raises(StartupError, match="STT_ENGINE"):
        load(received)


@pytest.mark.parametrize("text", ["", "  \n"])
def test_transcript_without_a_word_is_no_speech(text: str) -> None:
    """An empty text raises NoSpeech instead of being passed to the next stage."""
    with pytest.raises(NoSpeech):
        Transcript(text, "en")


@pytest.mark.parametrize(
    ("text", "language"), [(None, "en"), (123, "en"), (b"words", "en"), ("words", None), ("half \ud83d", "en")]
)
def test_transcript_that_is_not_text_is_an_engine_error(text: object, language: object) -> None:
    """A text or language of another type, or with half a character, raises EngineError."""
    with pytest.raises(EngineError):
        Transcript(text, language)  # type: ignore[arg-type]
