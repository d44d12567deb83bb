"""Piper: neural voices that run several times faster than speech on a CPU."""

from collections.abc import Callable
from functools import lru_cache, partial
from pathlib import Path

import structlog

from shared.cpu import available_cpus
from shared.errors import StartupError, UnknownVoice
from tts_worker.engine import Speech
from tts_worker.engines.piper_files import config_of, fetch_voice, installed_voice
from tts_worker.engines.piper_voice import BrokenVoice, Voice, open_voice
from tts_worker.settings import TtsSettings
from tts_worker.text import speakable

log = structlog.get_logger()

#: Voices beside the default one that stay in memory, about 100 MB each.
_MAX_OTHER_VOICES = 3


class PiperEngine:
    name = "piper"

    def __init__(self, default: Voice, find_other: Callable[[str], Voice], speed: float) -> None:
        self.model = default.name
        self._default = default
        self._find_other = lru_cache(maxsize=_MAX_OTHER_VOICES)(find_other)
        self._speed = speed

    def synthesize(self, text: str, language: str | None, voice: str | None) -> Speech:
        """As in `TtsEngine`. A Piper voice speaks one language, whatever the text's is."""
        chosen = self._default if voice in (None, "", self._default.name) else self._find_other(voice)
        return chosen.speak(speakable(text), self._speed)


def load(settings: TtsSettings) -> PiperEngine:
    """The engine with the voice that TTS_VOICE names, warm; fetched first where MODELS_DIR does not have it yet.

    Raises:
        StartupError: that voice cannot be had or cannot speak.
    """
    # Others measured half the cores to be faster than all of them; and the other workers need some too.
    threads = settings.tts_threads or max(1, available_cpus() // 2)
    opened = partial(open_voice, threads=threads, download_dir=settings.models_dir)
    if settings.tts_voice.endswith(".onnx"):
        model = _local_voice(Path(settings.tts_voice))
    else:
        model = installed_voice(settings.tts_voice, settings.models_dir) or _fetched(settings, opened)
    try:
        default = opened(model)
    except BrokenVoice as error:
        raise StartupError(
            "The voice that TTS_VOICE names is damaged, or needs a package that is not installed. "
            "Remove its files to fetch it again, or set TTS_VOICE to another one."
        ) from error

    def find_other(name: str) -> Voice:
        other = installed_voice(name, settings.models_dir)
        if other is None:
            raise UnknownVoice
        try:
            return opened(other)
        except BrokenVoice as error:
            log.warning("voice_broken", voice=name)
            raise UnknownVoice from error

    return PiperEngine(default, find_other, settings.tts_speed)


def _local_voice(model: Path) -> Path:
    if not model.is_file():
        raise StartupError("TTS_VOICE names an .onnx file that does not exist.")
    if not config_of(model).is_file():
        raise StartupError("TTS_VOICE names an .onnx file without its .onnx.json beside it.")
    return model


def _fetched(settings: TtsSettings, opened: Callable[[Path], Voice]) -> Path:
    try:
        return fetch_voice(settings.tts_voice, settings.models_dir, check=opened)
    except BrokenVoice as error:
        raise StartupError(
            f"TTS_VOICE={settings.tts_voice} could not be fetched into MODELS_DIR: what came is not a whole voice, or "
            "one that needs a package that is not installed. Try again, or set TTS_VOICE to another one."
        ) from error
