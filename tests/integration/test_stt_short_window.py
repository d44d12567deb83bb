"""Recognition in a short window gives the same text as the full window, or falls back to it."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from faster_whisper import WhisperModel
from faster_whisper.tokenizer import Tokenizer

from shared.errors import NoSpeech, UnsupportedLanguage
from stt_worker.audio import decode
from stt_worker.engine import SAMPLE_RATE_HZ, BatchEngine, Samples
from stt_worker.engines.faster_whisper import engine as faster_whisper
from stt_worker.engines.faster_whisper import windows
from stt_worker.engines.faster_whisper.engine import FasterWhisperEngine, load
from stt_worker.engines.faster_whisper.windows import window_for
from stt_worker.settings import SttSettings

pytestmark = pytest.mark.models

MODELS = Path(__file__).parents[1] / "speech_models"
SAMPLES = MODELS / "samples"
SENTENCES: dict[str, str] = json.loads((SAMPLES / "sentences.json").read_text())
WORDS = decode(SAMPLES / next(iter(SENTENCES)), 600)
SILENCE = np.zeros(2 * SAMPLE_RATE_HZ, np.float32)


def engine(**values: object) -> FasterWhisperEngine:
    values = {"stt_model": str(MODELS / "tiny-whisper"), "stt_device": "cpu"} | values
    return load(SttSettings(_env_file=None, **values))  # type: ignore[call-arg, arg-type]


@pytest.fixture(scope="module")
def short() -> FasterWhisperEngine:
    return engine()


@pytest.fixture(scope="module")
def full() -> FasterWhisperEngine:
    return engine(stt_short_window="off")


@pytest.fixture
def encoded(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """The shape of each pass of the encoder: utterances, mel bands, frames."""
    shapes: list[tuple[int, ...]] = []
    encode = WhisperModel.encode
    monkeypatch.setattr(
        WhisperModel, "encode", lambda self, features: shapes.append(features.shape) or encode(self, features)
    )
    return shapes


@pytest.mark.parametrize("sample", [path.name for path in sorted(SAMPLES.glob("*.*")) if path.suffix != ".json"])
def test_short_window_gives_the_same_text_as_the_full_window(
    short: FasterWhisperEngine, full: FasterWhisperEngine, sample: str, encoded: list[tuple[int, ...]]
) -> None:
    """Every sample is recognized alike, and in the short window unless its quality check failed."""
    samples = decode(SAMPLES / sample, 600)
    transcript = short.transcribe(samples, "en")
    reference = full.transcribe(samples, "en")
    assert transcript.text == reference.text
    assert reference.strategy == "full"
    assert (transcript.strategy, transcript.fallback_reason) != ("full", None)
    assert encoded[0][-1] < 3000 == encoded[-1][-1]


@pytest.mark.parametrize(
    ("length_s", "window_s"),
    [(0.3, 8), (7, 8), (7.01, 10), (9, 10), (14, 15), (19, 20), (19.01, None), (40, None)],
)
def test_window_keeps_a_second_of_silence(length_s: float, window_s: int | None) -> None:
    """A window is at least one second longer than the speech, since a window cut to the clip loses words."""
    assert window_for(np.zeros(round(length_s * SAMPLE_RATE_HZ), np.float32)) == window_s


@pytest.mark.parametrize(
    ("reason", "owner", "name", "value"),
    [
        ("empty", Tokenizer, "decode", lambda *_: " "),
        ("unfinished", faster_whisper, "_max_tokens", lambda _: 2),
        ("silent", windows, "_MAX_NO_SPEECH_PROBABILITY", -1.0),
        ("unlikely", windows, "_MIN_LOG_PROBABILITY", 0.1),
        ("repetitive", windows, "_MAX_COMPRESSION_RATIO", 0.0),
    ],
)
def test_rejected_result_falls_back_to_the_full_window(
    short: FasterWhisperEngine,
    encoded: list[tuple[int, ...]],
    monkeypatch: pytest.MonkeyPatch,
    reason: str,
    owner: object,
    name: str,
    value: object,
) -> None:
    """The transcript names the failed quality check; `transcribe_batch` leaves the recording to `transcribe`."""
    monkeypatch.setattr(owner, name, value)
    if reason == "empty":  # the full window gives no text either
        with pytest.raises(NoSpeech):
            short.transcribe(WORDS, "en")
    else:
        transcript = short.transcribe(WORDS, "en")
        assert (transcript.strategy, transcript.fallback_reason) == ("full", reason)
    assert [shape[-1] for shape in encoded] == [800, 3000]
    assert short.transcribe_batch([WORDS, WORDS], ["en", "en"]) == [None, None]


def test_language_detection_takes_the_full_window(short: FasterWhisperEngine, encoded: list[tuple[int, ...]]) -> None:
    """A recording without a language hint is encoded once, in the full window."""
    assert short.transcribe(WORDS, None).strategy == "full"
    assert [shape[-1] for shape in encoded] == [3000]


def test_monolingual_model_takes_the_short_window_without_a_hint() -> None:
    whisper = SimpleNamespace(
        model=SimpleNamespace(is_multilingual=False), hf_tokenizer=SimpleNamespace(token_to_id=None)
    )
    whisper.supported_languages = ["en"]
    english = FasterWhisperEngine(whisper, "tiny.en", short_windows=True)  # type: ignore[arg-type]
    assert english._window_for(WORDS, None) == 8


def test_batch_shares_one_pass_for_each_window(short: FasterWhisperEngine, encoded: list[tuple[int, ...]]) -> None:
    """A batch gives the same transcripts as one by one, in one encoder pass for each window length."""
    recordings = [decode(SAMPLES / sample, 600) for sample in SENTENCES]
    pause = np.zeros(4 * SAMPLE_RATE_HZ, np.float32)
    recordings.append(np.concatenate([recordings[0], pause, recordings[1]]))
    languages: list[str | None] = ["en"] * len(recordings)
    singly = [short.transcribe(samples, "en") for samples in recordings]
    encoded.clear()
    assert short.transcribe_batch(recordings, languages) == singly
    passes = [(count, frames // 100) for count, _, frames in encoded]
    window_lengths = [window_for(short._speech(samples, "en")) for samples in recordings]
    assert sorted(passes) == sorted((window_lengths.count(window_s), window_s) for window_s in set(window_lengths))
    assert len(passes) < len(recordings)


def test_batch_has_a_result_for_each_recording(short: FasterWhisperEngine) -> None:
    """Silence and an unsupported language are errors; detection and a long recording are left to `transcribe`."""
    assert isinstance(short, BatchEngine)
    long = np.concatenate([WORDS] * 20)
    recordings = [SILENCE, WORDS, WORDS, WORDS, long]
    silent, unsupported, undetected, transcript, too_long = short.transcribe_batch(
        recordings, ["en", "xx", None, "en", "en"]
    )
    assert isinstance(silent, NoSpeech)
    assert isinstance(unsupported, UnsupportedLanguage)
    assert (undetected, too_long) == (None, None)
    assert transcript == short.transcribe(WORDS, "en")


@pytest.mark.parametrize("language", ["en", None])
def test_long_recording_is_transcribed_in_chunks(
    short: FasterWhisperEngine, encoded: list[tuple[int, ...]], language: str | None
) -> None:
    """A long recording takes several passes, and its kept first window does not leak into the next recording."""
    pause = np.zeros(SAMPLE_RATE_HZ, np.float32)
    parts: list[Samples] = []
    for sample in list(SENTENCES) * 4:
        parts += [decode(SAMPLES / sample, 600), pause]
    transcript = short.transcribe(np.concatenate(parts), language)
    assert (transcript.strategy, transcript.language) == ("batched", "en")
    assert len(encoded) == (3 if language else 4)  # detecting the language takes one more pass
    assert short.transcribe(WORDS, None).text == short.transcribe(WORDS, "en").text
