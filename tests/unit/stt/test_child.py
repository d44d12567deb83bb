"""The recognizer hands the engine sound and a language, and tells errors apart."""

import pickle
import wave
from pathlib import Path

import pytest

from shared.errors import AudioTooLong, EngineError, NoSpeech, StartupError
from stt_worker.child import Recognizer, load_recognizer
from stt_worker.engine import Samples, Transcript
from stt_worker.settings import SttSettings


class HearsItsHint:
    """An engine that answers with what it was given."""

    name = "hears-its-hint"
    model = "none"

    def transcribe(self, samples: Samples, language: str | None) -> Transcript:
        return Transcript(f"{samples.size} samples", language or "detected")


class Fails:
    """An engine that raises."""

    name = "fails"
    model = "none"

    def __init__(self, error: Exception) -> None:
        self.error = error

    def transcribe(self, samples: Samples, language: str | None) -> Transcript:
        raise self.error


def settings(**values: object) -> SttSettings:
    return SttSettings(_env_file=None, **values)  # type: ignore[call-arg, arg-type]


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """Half a second of a WAV."""
    with wave.open(str(tmp_path / "rec"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes(bytes(16_000))
    return tmp_path / "rec"


@pytest.mark.parametrize(
    ("hint", "always", "heard"),
    [
        (None, "", "detected"),
        (None, "de", "de"),
        ("fr", "de", "fr"),
        ("en-US", "", "en"),
        ("", "", "detected"),
    ],
)
def test_the_callers_language_wins_over_the_settings(
    recording: Path, hint: str | None, always: str, heard: str
) -> None:
    """The request's hint, else STT_LANGUAGE, else detection; a region is left out."""
    recognition = Recognizer(HearsItsHint(), settings(stt_language=always)).recognize(recording, hint)
    assert recognition.transcript == Transcript("8000 samples", heard)
    assert recognition.duration_s == 0.5


def test_a_recording_over_the_limit_never_reaches_the_engine(recording: Path) -> None:
    """STT_MAX_AUDIO_S is the limit that decoding keeps."""
    recognizer = Recognizer(Fails(AssertionError("asked")), settings(stt_max_audio_s=0.4))
    with pytest.raises(AudioTooLong):
        recognizer.recognize(recording, None)


def test_a_native_librarys_error_is_an_engine_error_that_may_pass(recording: Path) -> None:
    """Its text stays inside: the message is ours."""
    with pytest.raises(EngineError) as caught:
        Recognizer(Fails(RuntimeError("CUDA failed with /secret/path")), settings()).recognize(recording, None)
    assert caught.value.retryable
    assert "secret" not in caught.value.public_message


def test_what_the_engine_says_about_the_input_is_passed_on(recording: Path) -> None:
    """NoSpeech stays NoSpeech."""
    with pytest.raises(NoSpeech):
        Recognizer(Fails(NoSpeech()), settings()).recognize(recording, None)


def test_a_recognizer_knows_what_answers() -> None:
    """The job's status shows engine and model."""
    recognizer = Recognizer(HearsItsHint(), settings())
    assert (recognizer.name, recognizer.model) == ("hears-its-hint", "none")


def test_the_loader_can_be_sent_to_a_child_process() -> None:
    """It is found by its name there, and its settings travel with it."""
    load, received = pickle.loads(pickle.dumps((load_recognizer, settings(stt_engine="nobody"))))
    with pytest.raises(StartupError, match="STT_ENGINE"):
        load(received)


@pytest.mark.parametrize("text", ["", "  \n"])
def test_a_transcript_without_a_word_is_none(text: str) -> None:
    """An engine that heard nothing cannot have it answered."""
    with pytest.raises(NoSpeech):
        Transcript(text, "en")


@pytest.mark.parametrize(
    ("text", "language"), [(None, "en"), (123, "en"), (b"words", "en"), ("words", None), ("half \ud83d", "en")]
)
def test_a_transcript_is_text(text: object, language: object) -> None:
    """Whatever else an engine returns is its failure."""
    with pytest.raises(EngineError):
        Transcript(text, language)  # type: ignore[arg-type]
