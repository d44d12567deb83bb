"""The eSpeak engine with the real library, in this process."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from numpy.typing import NDArray
from structlog.testing import capture_logs

from shared.errors import InputError, StartupError, UnknownVoice
from support.speech import loudness, seconds
from tts_worker.engine import TtsEngine
from tts_worker.engines.espeak import engine as espeak
from tts_worker.engines.espeak.library import EspeakLibrary
from tts_worker.settings import TtsSettings

TEXT = "Turn on the lights in the kitchen."


def load(voice: str = "en-us", speed: float = 1.0) -> TtsEngine:
    return espeak.load(TtsSettings(tts_engine="espeak", tts_voice=voice, tts_speed=speed))


@pytest.fixture(scope="module")
def engine() -> TtsEngine:
    return load()


@pytest.fixture
def voices_used(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The identifiers of the voices that the library synthesizes with, call by call."""
    voices: list[str] = []
    synthesize = EspeakLibrary.synthesize

    def record(library: EspeakLibrary, text: str, voice: str, words_per_minute: int, pitch: int) -> NDArray[np.int16]:
        voices.append(voice)
        return synthesize(library, text, voice, words_per_minute, pitch)

    monkeypatch.setattr(EspeakLibrary, "synthesize", record)
    return voices


def test_sentence_becomes_speech(engine: TtsEngine) -> None:
    """A sentence becomes audible speech of a sentence's length."""
    speech = engine.synthesize(TEXT, None, None)
    assert speech.samples.dtype == np.int16
    assert speech.samples.ndim == 1
    assert speech.sample_rate_hz == 22_050
    assert 1 < seconds(speech) < 5
    assert loudness(speech) > 500


def test_more_text_is_longer_speech(engine: TtsEngine) -> None:
    """Three times the text takes about three times as long."""
    once = engine.synthesize(TEXT, None, None)
    thrice = engine.synthesize(f"{TEXT} " * 3, None, None)
    assert 2.5 < seconds(thrice) / seconds(once) < 3.5


def test_speed_changes_the_duration() -> None:
    """TTS_SPEED=2 halves the duration, and engines of different speeds do not affect each other."""
    slow = load(speed=0.75)
    fast = load(speed=2.0)
    usual = seconds(load().synthesize(TEXT, None, None))
    assert seconds(fast.synthesize(TEXT, None, None)) < 0.65 * usual
    assert seconds(slow.synthesize(TEXT, None, None)) > 1.2 * usual


def test_language_selects_the_voice(engine: TtsEngine) -> None:
    """A German text is synthesized with the German voice, whose duration for the same letters differs."""
    german = engine.synthesize("Schalte das Licht in der Küche an.", "de", None)
    english = engine.synthesize("Schalte das Licht in der Küche an.", "en", None)
    assert abs(seconds(german) - seconds(english)) > 0.05 * seconds(english)


def test_configured_english_voice_is_kept(voices_used: list[str]) -> None:
    """A configured en-gb is used for every English text; without a configured voice it is en-us."""
    british = load("en-gb")
    american = load()
    german = load("de")
    voices_used.clear()
    for engine, language in ((british, "en"), (british, None), (american, "en"), (german, "en")):
        engine.synthesize(TEXT, language, None)
    assert voices_used == ["gmw/en", "gmw/en", "gmw/en-US", "gmw/en-US"]


def test_unsupported_language_uses_the_default_voice(engine: TtsEngine) -> None:
    """A language without a voice is synthesized with the default voice, and a warning is logged."""
    with capture_logs() as logs:
        speech = engine.synthesize(TEXT, "tl", None)
    assert loudness(speech) > 500
    assert [entry["event"] for entry in logs] == ["language_unsupported"]


def test_request_may_name_a_voice(engine: TtsEngine) -> None:
    """A request's voice is a language tag in either spelling, and is used instead of the text's language."""
    french = engine.synthesize("Allume la lumière.", "en", "fr")
    assert seconds(engine.synthesize("Allume la lumière.", None, "fr_FR")) == pytest.approx(seconds(french), rel=0.02)


@pytest.mark.parametrize("voice", ["klatt", "gmw/en", "en-us+f3", "../en", "xx", "en_US-lessac-medium", "fo"])
def test_unknown_voice_is_rejected(engine: TtsEngine, voice: str) -> None:
    """Names other than tags of working voices are rejected: with them the library would be broken or silent."""
    with pytest.raises(UnknownVoice):
        engine.synthesize(TEXT, None, voice)
    assert loudness(engine.synthesize(TEXT, None, None)) > 500


def test_every_listed_voice_is_audible(engine: espeak.EspeakEngine) -> None:
    """Each tag that a request may name has an audible voice."""
    silent = [
        tag for tag in espeak.espeak_library().voices if seconds(engine.synthesize("Hello 1 2 3.", None, tag)) < 0.3
    ]
    assert silent == []


@pytest.mark.parametrize(
    ("voice", "model"),
    [
        ("en_US-lessac-medium", "en-us"),
        ("en_GB-alba-medium", "en-gb"),
        ("de_DE-thorsten-low", "de"),
        ("fr_FR-siwis-medium", "fr-fr"),
        ("de", "de"),
        ("en", "en-us"),
        ("pt_BR", "pt-br"),
    ],
)
def test_default_voice_is_a_language(voice: str, model: str) -> None:
    """A Piper voice as the default, as in the default of TTS_VOICE, becomes its language; a tag is used as it is."""
    assert load(voice).model == model


@pytest.mark.parametrize("voice", ["nonsense", "xx_YY-unknown-low", "voices/en.onnx", ""])
def test_default_voice_without_a_language_stops_the_start(voice: str) -> None:
    """A default voice that eSpeak does not have stops the start with an error that names the variable."""
    with pytest.raises(StartupError, match="TTS_VOICE"):
        load(voice)


def test_concurrent_threads_take_turns(engine: TtsEngine) -> None:
    """Four threads at once neither crash the library nor receive each other's speech."""
    texts = ["One.", TEXT, f"{TEXT} {TEXT}", "What time is it?"] * 10
    expected_s = {text: seconds(engine.synthesize(text, None, None)) for text in set(texts)}
    with ThreadPoolExecutor(4) as pool:
        durations_s = list(pool.map(lambda text: seconds(engine.synthesize(text, None, None)), texts))
    for text, duration_s in zip(texts, durations_s, strict=True):
        assert duration_s == pytest.approx(expected_s[text], rel=0.03)


@pytest.mark.parametrize(
    "text", ["", "  ", "…", "\0", "\x01400S", "🙂", "日本語", "half \ud800 pair", "<speak><break/>"]
)
def test_unusual_text_does_not_break_the_engine(engine: TtsEngine, text: str) -> None:
    """After a text of control characters, emoji or markup, the next sentence is synthesized as usual."""
    usual = seconds(engine.synthesize(TEXT, None, None))
    assert engine.synthesize(text, None, None).samples.size
    assert seconds(engine.synthesize(TEXT, None, None)) == pytest.approx(usual, rel=0.02)


def test_text_after_a_nul_is_synthesized(engine: TtsEngine) -> None:
    """A NUL character does not end the text."""
    whole = engine.synthesize(f"{TEXT}\0{TEXT}", None, None)
    half = engine.synthesize(TEXT, None, None)
    assert seconds(whole) > 1.8 * seconds(half)


def test_long_text_is_synthesized_whole(engine: TtsEngine) -> None:
    """Five thousand words become about twenty minutes of speech."""
    assert 1_000 < seconds(engine.synthesize(("turn on the lights now " * 1_000).strip(), None, None)) < 2_000


def test_endless_text_is_rejected(engine: TtsEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A text with hours of speech is stopped half-way with an error, and the engine continues to work."""
    monkeypatch.setattr("tts_worker.engines.espeak.library.MAX_SPEECH_S", 60)
    with pytest.raises(InputError):
        engine.synthesize("9 " * 2_000, None, None)
    assert espeak.espeak_library()._bytes_left > -10 * 22_050 * 2
    assert seconds(engine.synthesize(TEXT, None, None)) < 5


def test_configured_voices_are_tags(voices_used: list[str]) -> None:
    """TTS_VOICES names voices as TTS_VOICE does: tags, or Piper voices, of which the language is used."""
    settings = TtsSettings(tts_engine="espeak", tts_voice="en-us", tts_voices="de=de_DE-thorsten-medium,en=en-GB")
    engine = espeak.load(settings)
    assert sorted(voices_used) == ["gmw/de", "gmw/en", "gmw/en-US"], "a voice is not warm"
    voices_used.clear()
    for voice in ("de_DE-thorsten-medium", "en-GB", None):
        engine.synthesize(TEXT, None, voice)
    assert voices_used == ["gmw/de", "gmw/en", "gmw/en-US"]


def test_unknown_configured_voice_stops_the_start() -> None:
    """An unknown voice in TTS_VOICES stops the start with an error that names the variable and the voice."""
    with pytest.raises(StartupError, match="TTS_VOICES names xx-unknown"):
        espeak.load(TtsSettings(tts_engine="espeak", tts_voice="en-us", tts_voices="de=xx-unknown"))
