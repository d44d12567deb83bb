"""The real Piper, speaking with a tiny voice."""

from pathlib import Path

import numpy as np
import pytest

from shared.errors import InputError
from shared.queue.messages import Claim, Outcome
from shared.storage.local import LocalStorage
from tts_worker.engine import Speech, TtsEngine
from tts_worker.engines.piper import engine as piper
from tts_worker.handler import TtsHandler, open_tts
from tts_worker.settings import TtsSettings

pytestmark = pytest.mark.models

NAME = "en_US-fixture-low"
FOLDER = Path(__file__).parents[1] / "speech_models" / "tiny-piper"
TEXT = "Turn on the lights in the kitchen."


def loaded(speed: float = 1.0) -> piper.PiperEngine:
    return piper.load(TtsSettings(tts_voice=NAME, models_dir=FOLDER, tts_speed=speed, tts_threads=1))


@pytest.fixture(scope="module")
def engine() -> TtsEngine:
    return loaded()


def seconds(speech: Speech) -> float:
    return len(speech.samples) / speech.sample_rate_hz


def loudness(speech: Speech) -> float:
    return float(np.sqrt(np.mean(speech.samples.astype(float) ** 2)))


def test_it_speaks(engine: TtsEngine) -> None:
    """A sentence becomes audible speech at the voice's own rate."""
    speech = engine.synthesize(TEXT, "en", None)
    assert speech.samples.dtype == np.int16
    assert speech.samples.ndim == 1
    assert speech.sample_rate_hz == 22_050
    assert 1 < seconds(speech) < 6
    assert loudness(speech) > 500


def test_more_text_is_longer_speech(engine: TtsEngine) -> None:
    """All sentences of a text are spoken."""
    once, thrice = engine.synthesize(TEXT, None, None), engine.synthesize(f"{TEXT} " * 3, None, None)
    assert seconds(thrice) == pytest.approx(3 * seconds(once), rel=0.1)


def test_speed_changes_the_pace(engine: TtsEngine) -> None:
    """TTS_SPEED=2 about halves the time."""
    usual, fast = (each.synthesize(TEXT, None, None) for each in (engine, loaded(speed=2.0)))
    assert 0.4 < seconds(fast) / seconds(usual) < 0.65


def test_a_sentence_keeps_its_own_loudness(engine: piper.PiperEngine) -> None:
    """One gain serves all sentences; none is scaled to its own peak, so segments sound as from one speaker."""
    voice = engine._default
    for text in ("Mm.", TEXT, "Oh!"):
        raw = np.concatenate(
            [
                voice.piper.phoneme_ids_to_audio(voice.piper.phonemes_to_ids(each))
                for each in voice.piper.phonemize(text)
            ]
        )
        assert np.abs(engine.synthesize(text, None, None).samples - raw * voice.gain * 32767).max() <= 1


def test_a_quiet_voice_is_made_louder_and_never_wraps(monkeypatch: pytest.MonkeyPatch) -> None:
    """A gain that lifts a sentence over full scale clips it; int16 does not turn over into noise."""
    usual = loaded()
    monkeypatch.setattr("tts_worker.engines.piper.voice._REFERENCE_PEAK", 2.0)
    loud = loaded()
    quiet_samples, loud_samples = (each.synthesize(TEXT, None, None).samples for each in (usual, loud))
    assert np.abs(loud_samples.astype(int)).max() == 32_767
    assert np.all(np.sign(quiet_samples) * np.sign(loud_samples) >= 0)


@pytest.mark.parametrize("text", ["", "…", " - ", "\0", "[[]]"])
def test_nothing_to_say_is_a_short_silence(engine: TtsEngine, text: str) -> None:
    """A text without a phoneme is no error: its segment is there, and silent."""
    speech = engine.synthesize(text, None, None)
    assert 0.05 < seconds(speech) < 0.5
    assert not speech.samples.any()


@pytest.mark.parametrize("text", ["🙂", "日本語", "half \ud800 pair", "a\0b", "run [[ -f x ]] now", "[[oops"])
def test_strange_text_is_spoken_somehow(engine: TtsEngine, text: str) -> None:
    """Whatever a model writes becomes sound, not a crash."""
    assert loudness(engine.synthesize(text, None, None)) > 500


@pytest.mark.parametrize(("asked", "cpus", "threads"), [(3, 64, 3), (0, 1, 1), (0, 2, 2), (0, 3, 2), (0, 8, 4)])
def test_the_threads_follow_the_setting_or_the_container(
    monkeypatch: pytest.MonkeyPatch, asked: int, cpus: int, threads: int
) -> None:
    """TTS_THREADS as it is; without it two of the container's CPUs, or half where that is more."""
    monkeypatch.setattr(piper, "available_cpus", lambda: cpus)
    engine = piper.load(TtsSettings(tts_voice=NAME, models_dir=FOLDER, tts_threads=asked))
    options = engine._default.piper.session.get_session_options()
    assert (options.intra_op_num_threads, options.inter_op_num_threads) == (threads, 1)


async def test_a_worker_speaks_a_text_once(tmp_path: Path) -> None:
    """A second job gets the very bytes, since Piper would never say the same twice; a new start speaks anew."""
    storage = LocalStorage(tmp_path)
    storage.prepare()
    settings = TtsSettings(tts_voice=NAME, models_dir=FOLDER, tts_threads=1, data_dir=tmp_path)

    async def never(_step: Outcome) -> None:
        raise AssertionError

    async def spoken(handler: TtsHandler, job: str) -> Path:
        outcome = await handler.handle(Claim(f"tts:{job}:0", "token", 1, TEXT, {"language": "en"}, 0), never)
        assert outcome.part
        return tmp_path / outcome.part[1]

    async with open_tts(settings, storage) as handler:
        first, second = await spoken(handler, "a"), await spoken(handler, "b")
        assert first.samefile(second)
    async with open_tts(settings, storage) as handler:
        assert not (await spoken(handler, "c")).samefile(first)


def test_an_endless_sentence_is_spoken_in_pieces(engine: piper.PiperEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The model never gets more than it can hold in memory, and still every word is spoken."""
    sizes = []
    convert = engine._default.piper.phonemes_to_ids

    def counted(phonemes: list[str]) -> list[int]:
        sizes.append(len(phonemes))
        return convert(phonemes)

    monkeypatch.setattr(engine._default.piper, "phonemes_to_ids", counted)
    speech = engine.synthesize("turn on the lights now " * 1_000, None, None)
    assert max(sizes) <= 600
    assert seconds(speech) > 1_000
    assert loudness(engine.synthesize("a" * 10_000, None, None)) > 500


def test_an_endless_text_is_refused(engine: TtsEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A text that would be spoken for hours is stopped half-way, and the engine goes on working."""
    monkeypatch.setattr("tts_worker.engines.piper.voice.MAX_SPEECH_S", 60)
    with pytest.raises(InputError):
        engine.synthesize("9 " * 2_000, None, None)
    assert seconds(engine.synthesize(TEXT, None, None)) < 10
