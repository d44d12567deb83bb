"""The real eSpeak library, in this process."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from numpy.typing import NDArray
from structlog.testing import capture_logs

from shared.errors import InputError, StartupError, UnknownVoice
from tts_worker.engine import Speech, TtsEngine
from tts_worker.engines.espeak import engine as espeak
from tts_worker.engines.espeak.library import EspeakLibrary
from tts_worker.settings import TtsSettings

TEXT = "Turn on the lights in the kitchen."


def loaded(voice: str = "en-us", speed: float = 1.0) -> TtsEngine:
    return espeak.load(TtsSettings(tts_engine="espeak", tts_voice=voice, tts_speed=speed))


@pytest.fixture(scope="module")
def engine() -> TtsEngine:
    return loaded()


def seconds(speech: Speech) -> float:
    return len(speech.samples) / speech.sample_rate_hz


def loudness(speech: Speech) -> float:
    return float(np.sqrt(np.mean(speech.samples.astype(float) ** 2)))


def test_it_speaks(engine: TtsEngine) -> None:
    """A sentence becomes audible speech of a sentence's length."""
    speech = engine.synthesize(TEXT, None, None)
    assert speech.samples.dtype == np.int16
    assert speech.samples.ndim == 1
    assert speech.sample_rate_hz == 22_050
    assert 1 < seconds(speech) < 5
    assert loudness(speech) > 500


def test_more_text_is_longer_speech(engine: TtsEngine) -> None:
    """Three times the text takes about three times as long."""
    once, thrice = engine.synthesize(TEXT, None, None), engine.synthesize(f"{TEXT} " * 3, None, None)
    assert 2.5 < seconds(thrice) / seconds(once) < 3.5


def test_speed_changes_the_pace() -> None:
    """TTS_SPEED=2 halves the time, and engines of different speeds do not disturb each other."""
    slow, fast = loaded(speed=0.75), loaded(speed=2.0)
    usual = seconds(loaded().synthesize(TEXT, None, None))
    assert seconds(fast.synthesize(TEXT, None, None)) < 0.65 * usual
    assert seconds(slow.synthesize(TEXT, None, None)) > 1.2 * usual


def test_language_chooses_the_voice(engine: TtsEngine) -> None:
    """A German answer is spoken by the German voice, which needs another time for the same letters."""
    german = engine.synthesize("Schalte das Licht in der Küche an.", "de", None)
    english = engine.synthesize("Schalte das Licht in der Küche an.", "en", None)
    assert abs(seconds(german) - seconds(english)) > 0.05 * seconds(english)


def test_the_operators_english_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who chose en-gb hears it for every English answer, and who chose nothing hears en-us."""
    voices = []
    synthesize = EspeakLibrary.synthesize

    def noted(library: EspeakLibrary, text: str, voice: str, words_per_minute: int, pitch: int) -> NDArray[np.int16]:
        voices.append(voice)
        return synthesize(library, text, voice, words_per_minute, pitch)

    british, american, german = loaded("en-gb"), loaded(), loaded("de")
    monkeypatch.setattr(EspeakLibrary, "synthesize", noted)
    for engine, language in ((british, "en"), (british, None), (american, "en"), (german, "en")):
        engine.synthesize(TEXT, language, None)
    assert voices == ["gmw/en", "gmw/en", "gmw/en-US", "gmw/en-US"]


def test_an_unknown_language_falls_back(engine: TtsEngine) -> None:
    """A language that eSpeak does not speak is spoken by the default voice, and the log says so."""
    with capture_logs() as logs:
        speech = engine.synthesize(TEXT, "tl", None)
    assert loudness(speech) > 500
    assert [entry["event"] for entry in logs] == ["language_unsupported"]


def test_a_request_may_name_a_voice(engine: TtsEngine) -> None:
    """`voice` is a language tag, in either spelling, and wins over the text's language."""
    french = engine.synthesize("Allume la lumière.", "en", "fr")
    assert seconds(engine.synthesize("Allume la lumière.", None, "fr_FR")) == pytest.approx(seconds(french), rel=0.02)


@pytest.mark.parametrize("voice", ["klatt", "gmw/en", "en-us+f3", "../en", "xx", "en_US-lessac-medium", "fo"])
def test_an_unknown_voice_is_refused(engine: TtsEngine, voice: str) -> None:
    """Only tags of voices that can speak are taken; names that leave the library broken or silent never reach it."""
    with pytest.raises(UnknownVoice):
        engine.synthesize(TEXT, None, voice)
    assert loudness(engine.synthesize(TEXT, None, None)) > 500


def test_every_listed_voice_speaks(engine: espeak.EspeakEngine) -> None:
    """No tag that a caller may choose is a silent one."""
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
def test_the_default_voice_is_a_language(voice: str, model: str) -> None:
    """Of a Piper voice's name, which TTS_VOICE is by default, the language is kept; a tag is taken as it is."""
    assert loaded(voice).model == model


@pytest.mark.parametrize("voice", ["nonsense", "xx_YY-nobody-low", "voices/en.onnx", ""])
def test_a_voice_without_language_stops_the_start(voice: str) -> None:
    """A default voice that cannot be spoken is an error at the start, naming the variable."""
    with pytest.raises(StartupError, match="TTS_VOICE"):
        loaded(voice)


def test_threads_take_turns(engine: TtsEngine) -> None:
    """Four threads at once neither crash the library nor get each other's speech."""
    texts = ["One.", TEXT, f"{TEXT} {TEXT}", "What time is it?"] * 10
    alone = {text: seconds(engine.synthesize(text, None, None)) for text in set(texts)}
    with ThreadPoolExecutor(4) as pool:
        spoken = list(pool.map(lambda text: seconds(engine.synthesize(text, None, None)), texts))
    for text, length_s in zip(texts, spoken, strict=True):
        assert length_s == pytest.approx(alone[text], rel=0.03)


@pytest.mark.parametrize(
    "text", ["", "  ", "…", "\0", "\x01400S", "🙂", "日本語", "half \ud800 pair", "<speak><break/>"]
)
def test_strange_text_does_no_harm(engine: TtsEngine, text: str) -> None:
    """Whatever a model writes, the next sentence is spoken as ever."""
    usual = seconds(engine.synthesize(TEXT, None, None))
    assert engine.synthesize(text, None, None).samples.size
    assert seconds(engine.synthesize(TEXT, None, None)) == pytest.approx(usual, rel=0.02)


def test_nothing_after_a_nul_is_lost(engine: TtsEngine) -> None:
    """A NUL byte does not end the sentence."""
    whole, cut = engine.synthesize(f"{TEXT}\0{TEXT}", None, None), engine.synthesize(TEXT, None, None)
    assert seconds(whole) > 1.8 * seconds(cut)


def test_a_long_text_is_spoken_whole(engine: TtsEngine) -> None:
    """Five thousand words are twenty minutes of speech, all of them."""
    assert 1_000 < seconds(engine.synthesize(("turn on the lights now " * 1_000).strip(), None, None)) < 2_000


def test_an_endless_text_is_refused(engine: TtsEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A text that would be spoken for hours is stopped half-way, and the engine goes on working."""
    monkeypatch.setattr("tts_worker.engines.espeak.library.MAX_SPEECH_S", 60)
    with pytest.raises(InputError):
        engine.synthesize("9 " * 2_000, None, None)
    assert espeak.espeak_library()._bytes_left > -10 * 22_050 * 2
    assert seconds(engine.synthesize(TEXT, None, None)) < 5


def test_the_voices_of_languages_are_tags(monkeypatch: pytest.MonkeyPatch) -> None:
    """TTS_VOICES names them as TTS_VOICE does: tags, or Piper voices of which the language is kept."""
    spoken = []
    synthesize = EspeakLibrary.synthesize

    def noted(library: EspeakLibrary, text: str, voice: str, words_per_minute: int, pitch: int) -> NDArray[np.int16]:
        spoken.append(voice)
        return synthesize(library, text, voice, words_per_minute, pitch)

    settings = TtsSettings(tts_engine="espeak", tts_voice="en-us", tts_voices="de=de_DE-thorsten-medium,en=en-GB")
    monkeypatch.setattr(EspeakLibrary, "synthesize", noted)
    engine = espeak.load(settings)
    assert sorted(spoken) == ["gmw/de", "gmw/en", "gmw/en-US"], "a voice is not warm"
    spoken.clear()
    for voice in ("de_DE-thorsten-medium", "en-GB", None):
        engine.synthesize(TEXT, None, voice)
    assert spoken == ["gmw/de", "gmw/en", "gmw/en-US"]


def test_a_voice_of_a_language_that_is_unknown_stops_the_start() -> None:
    """The message names the variable and the voice."""
    with pytest.raises(StartupError, match="TTS_VOICES names xx-nobody"):
        espeak.load(TtsSettings(tts_engine="espeak", tts_voice="en-us", tts_voices="de=xx-nobody"))
