"""The Piper engine with the real library and a tiny voice."""

from pathlib import Path

import numpy as np
import pytest

from shared.errors import InputError
from shared.queue.messages import Claim, Outcome
from shared.storage.local import LocalStorage
from support.speech import loudness, seconds
from tts_worker.engine import TtsEngine
from tts_worker.engines.piper import engine as piper
from tts_worker.handler import TtsHandler, open_tts
from tts_worker.settings import TtsSettings

pytestmark = pytest.mark.models

NAME = "en_US-fixture-low"
FOLDER = Path(__file__).parents[1] / "speech_models" / "tiny-piper"
TEXT = "Turn on the lights in the kitchen."


def load(speed: float = 1.0) -> piper.PiperEngine:
    return piper.load(TtsSettings(tts_voice=NAME, models_dir=FOLDER, tts_speed=speed, tts_threads=1))


@pytest.fixture(scope="module")
def engine() -> TtsEngine:
    return load()


def test_sentence_becomes_speech(engine: TtsEngine) -> None:
    """A sentence becomes audible speech at the voice's own sample rate."""
    speech = engine.synthesize(TEXT, "en", None)
    assert speech.samples.dtype == np.int16
    assert speech.samples.ndim == 1
    assert speech.sample_rate_hz == 22_050
    assert 1 < seconds(speech) < 6
    assert loudness(speech) > 500


def test_more_text_is_longer_speech(engine: TtsEngine) -> None:
    """Three times the text takes about three times as long."""
    once = engine.synthesize(TEXT, None, None)
    thrice = engine.synthesize(f"{TEXT} " * 3, None, None)
    assert seconds(thrice) == pytest.approx(3 * seconds(once), rel=0.1)


def test_speed_changes_the_duration(engine: TtsEngine) -> None:
    """TTS_SPEED=2 about halves the duration."""
    usual, fast = (either.synthesize(TEXT, None, None) for either in (engine, load(speed=2.0)))
    assert 0.4 < seconds(fast) / seconds(usual) < 0.65


def test_all_sentences_have_the_same_gain(engine: piper.PiperEngine) -> None:
    """All sentences are amplified alike: scaled to its own peak, each would sound like another speaker's."""
    voice = engine._default
    for text in ("Mm.", TEXT, "Oh!"):
        raw = np.concatenate(
            [
                voice.piper.phoneme_ids_to_audio(voice.piper.phonemes_to_ids(each))
                for each in voice.piper.phonemize(text)
            ]
        )
        assert np.abs(engine.synthesize(text, None, None).samples - raw * voice.gain * 32767).max() <= 1


def test_amplified_voice_is_clipped(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sentence that its voice's gain lifts over full scale is clipped: int16 does not wrap around into noise."""
    usual = load()
    monkeypatch.setattr("tts_worker.engines.piper.voice._REFERENCE_PEAK", 2.0)
    loud = load()
    quiet_samples, loud_samples = (each.synthesize(TEXT, None, None).samples for each in (usual, loud))
    assert np.abs(loud_samples.astype(int)).max() == 32_767
    assert np.all(np.sign(quiet_samples) * np.sign(loud_samples) >= 0)


@pytest.mark.parametrize("text", ["", "…", " - ", "\0", "[[]]"])
def test_text_without_phonemes_is_a_short_silence(engine: TtsEngine, text: str) -> None:
    """A text without a phoneme becomes a short silent segment."""
    speech = engine.synthesize(text, None, None)
    assert 0.05 < seconds(speech) < 0.5
    assert not speech.samples.any()


@pytest.mark.parametrize("text", ["🙂", "日本語", "half \ud800 pair", "a\0b", "run [[ -f x ]] now", "[[oops"])
def test_unusual_text_becomes_speech(engine: TtsEngine, text: str) -> None:
    """A text of emoji, foreign letters or control characters becomes audible speech."""
    assert loudness(engine.synthesize(text, None, None)) > 500


@pytest.mark.parametrize(("setting", "cpus", "threads"), [(3, 64, 3), (0, 1, 1), (0, 2, 2), (0, 3, 2), (0, 8, 4)])
def test_threads_follow_the_setting_or_the_container(
    monkeypatch: pytest.MonkeyPatch, setting: int, cpus: int, threads: int
) -> None:
    """TTS_THREADS sets the threads; the default is two of the container's CPUs, or half of them if that is more."""
    monkeypatch.setattr(piper, "available_cpus", lambda: cpus)
    engine = piper.load(TtsSettings(tts_voice=NAME, models_dir=FOLDER, tts_threads=setting))
    options = engine._default.piper.session.get_session_options()
    assert (options.intra_op_num_threads, options.inter_op_num_threads) == (threads, 1)


async def test_worker_synthesizes_a_text_once(tmp_path: Path) -> None:
    """A second job gets the same file, as Piper never repeats a speech exactly; after a restart, a third does not."""
    storage = LocalStorage(tmp_path)
    storage.prepare()
    settings = TtsSettings(tts_voice=NAME, models_dir=FOLDER, tts_threads=1, data_dir=tmp_path)

    async def fail_on_step(_step: Outcome) -> None:
        raise AssertionError

    async def synthesize(handler: TtsHandler, job: str) -> Path:
        outcome = await handler.handle(Claim(f"tts:{job}:0", "token", 1, TEXT, {"language": "en"}, 0), fail_on_step)
        assert outcome.part
        return tmp_path / outcome.part[1]

    async with open_tts(settings, storage) as handler:
        first, second = await synthesize(handler, "a"), await synthesize(handler, "b")
        assert first.samefile(second)
    async with open_tts(settings, storage) as handler:
        assert not (await synthesize(handler, "c")).samefile(first)


def test_endless_sentence_is_synthesized_in_parts(engine: piper.PiperEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sentence that is too long for the model's memory is synthesized in parts, and no word is lost."""
    sizes = []
    convert = engine._default.piper.phonemes_to_ids

    def record(phonemes: list[str]) -> list[int]:
        sizes.append(len(phonemes))
        return convert(phonemes)

    monkeypatch.setattr(engine._default.piper, "phonemes_to_ids", record)
    speech = engine.synthesize("turn on the lights now " * 1_000, None, None)
    assert max(sizes) <= 600
    assert seconds(speech) > 1_000
    assert loudness(engine.synthesize("a" * 10_000, None, None)) > 500


def test_endless_text_is_rejected(engine: TtsEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A text with hours of speech is stopped half-way with an error, and the engine continues to work."""
    monkeypatch.setattr("tts_worker.engines.piper.voice.MAX_SPEECH_S", 60)
    with pytest.raises(InputError):
        engine.synthesize("9 " * 2_000, None, None)
    assert seconds(engine.synthesize(TEXT, None, None)) < 10
