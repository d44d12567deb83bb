"""What is heard in a short window is what the full one would have heard, or the full one is asked."""

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
from stt_worker.engines.faster_whisper import windows as short_window
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
    named = {"stt_model": str(MODELS / "tiny-whisper"), "stt_device": "cpu"} | values
    return load(SttSettings(_env_file=None, **named))  # type: ignore[call-arg, arg-type]


@pytest.fixture(scope="module")
def short() -> FasterWhisperEngine:
    return engine()


@pytest.fixture(scope="module")
def full() -> FasterWhisperEngine:
    return engine(stt_short_window="off")


@pytest.fixture
def encoded(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """The shape of what each pass of the encoder was given: utterances, mel bands, frames."""
    seen: list[tuple[int, ...]] = []
    whole = WhisperModel.encode
    monkeypatch.setattr(
        WhisperModel, "encode", lambda self, features: seen.append(features.shape) or whole(self, features)
    )
    return seen


@pytest.mark.parametrize("sample", [path.name for path in sorted(SAMPLES.glob("*.*")) if path.suffix != ".json"])
def test_a_short_window_hears_what_the_full_one_hears(
    short: FasterWhisperEngine, full: FasterWhisperEngine, sample: str, encoded: list[tuple[int, ...]]
) -> None:
    """Every recording that there is; and the short window is what was used, unless it doubted."""
    samples = decode(SAMPLES / sample, 600)
    heard, wanted = short.transcribe(samples, "en"), full.transcribe(samples, "en")
    assert heard.text == wanted.text
    assert wanted.strategy == "full"
    assert (heard.strategy, heard.fallback_reason) != ("full", None)
    assert encoded[0][-1] < 3000 == encoded[-1][-1]


@pytest.mark.parametrize(
    ("length_s", "window_s"),
    [(0.3, 8), (7, 8), (7.01, 10), (9, 10), (14, 15), (19, 20), (19.01, None), (40, None)],
)
def test_a_second_of_the_window_stays_silent(length_s: float, window_s: int | None) -> None:
    """One that is cut to the clip loses words."""
    assert window_for(np.zeros(round(length_s * SAMPLE_RATE_HZ), np.float32)) == window_s


@pytest.mark.parametrize(
    ("reason", "where", "name", "value"),
    [
        ("empty", Tokenizer, "decode", lambda *_: " "),
        ("unfinished", faster_whisper, "_most_tokens", lambda _: 2),
        ("silent", short_window, "MOST_NO_SPEECH", -1.0),
        ("unlikely", short_window, "LEAST_LOG_PROBABILITY", 0.1),
        ("repetitive", short_window, "MOST_REPETITION", 0.0),
    ],
)
def test_a_doubtful_result_is_none(
    short: FasterWhisperEngine,
    encoded: list[tuple[int, ...]],
    monkeypatch: pytest.MonkeyPatch,
    reason: str,
    where: object,
    name: str,
    value: object,
) -> None:
    """The full window is asked instead, and the transcript says why. In a batch, the one is to be asked alone."""
    monkeypatch.setattr(where, name, value)
    if reason == "empty":  # there the full window hears nothing either
        with pytest.raises(NoSpeech):
            short.transcribe(WORDS, "en")
    else:
        heard = short.transcribe(WORDS, "en")
        assert (heard.strategy, heard.fallback_reason) == ("full", reason)
    assert [shape[-1] for shape in encoded] == [800, 3000]
    assert short.transcribe_together([WORDS, WORDS], ["en", "en"]) == [None, None]


def test_an_unknown_language_takes_the_full_window(short: FasterWhisperEngine, encoded: list[tuple[int, ...]]) -> None:
    """Whisper detects it in a full one only."""
    assert short.transcribe(WORDS, None).strategy == "full"
    assert [shape[-1] for shape in encoded] == [3000]


def test_a_model_of_one_language_needs_to_detect_none() -> None:
    """It takes the short window without being told."""
    whisper = SimpleNamespace(
        model=SimpleNamespace(is_multilingual=False), hf_tokenizer=SimpleNamespace(token_to_id=None)
    )
    whisper.supported_languages = ["en"]
    english = FasterWhisperEngine(whisper, "tiny.en", short_windows=True)  # type: ignore[arg-type]
    assert english._window_for(WORDS, None) == 8


def test_utterances_together_share_one_pass(short: FasterWhisperEngine, encoded: list[tuple[int, ...]]) -> None:
    """Each is heard as it is alone; those of another length in a pass of theirs."""
    recordings = [decode(SAMPLES / sample, 600) for sample in SENTENCES]
    pause = np.zeros(4 * SAMPLE_RATE_HZ, np.float32)
    recordings.append(np.concatenate([recordings[0], pause, recordings[1]]))
    languages: list[str | None] = ["en"] * len(recordings)
    alone = [short.transcribe(samples, "en") for samples in recordings]
    encoded.clear()
    assert short.transcribe_together(recordings, languages) == alone
    passes = [(count, frames // 100) for count, _, frames in encoded]
    windows = [window_for(short._speech(samples, "en")) for samples in recordings]
    assert sorted(passes) == sorted((windows.count(window), window) for window in set(windows))
    assert len(passes) < len(recordings)


def test_each_together_is_answered_on_its_own(short: FasterWhisperEngine) -> None:
    """Silence, a language that the model does not know, one that is to be detected, and one that is too long."""
    assert isinstance(short, BatchEngine)
    long = np.concatenate([WORDS] * 20)
    recordings = [SILENCE, WORDS, WORDS, WORDS, long]
    silent, unknown, detect, heard, alone = short.transcribe_together(recordings, ["en", "xx", None, "en", "en"])
    assert isinstance(silent, NoSpeech)
    assert isinstance(unknown, UnsupportedLanguage)
    assert (detect, alone) == (None, None)
    assert heard == short.transcribe(WORDS, "en")


@pytest.mark.parametrize("language", ["en", None])
def test_a_long_recording_is_heard_piece_by_piece(
    short: FasterWhisperEngine, encoded: list[tuple[int, ...]], language: str | None
) -> None:
    """In more than one pass, and what was kept of its first does not leak into the next recording."""
    pause = np.zeros(SAMPLE_RATE_HZ, np.float32)
    pieces: list[Samples] = []
    for sample in list(SENTENCES) * 4:
        pieces += [decode(SAMPLES / sample, 600), pause]
    heard = short.transcribe(np.concatenate(pieces), language)
    assert (heard.strategy, heard.language) == ("batched", "en")
    assert len(encoded) == (3 if language else 4)  # the language takes a pass of its own
    assert short.transcribe(WORDS, None).text == short.transcribe(WORDS, "en").text
