"""Piper: neural voices that run several times faster than speech on a CPU."""

from collections.abc import Callable
from functools import lru_cache, partial
from pathlib import Path

import structlog

from shared.errors import StartupError, UnknownVoice
from shared.worker.cpu import available_cpus
from tts_worker.engine import Speech
from tts_worker.engines.piper.download import config_of, fetch_voice, installed_voice
from tts_worker.engines.piper.voice import BrokenVoice, Voice, open_voice
from tts_worker.sanitize import speakable
from tts_worker.settings import TtsSettings

log = structlog.get_logger()

#: Voices beside the default one that stay in memory, about 100 MB each.
_MAX_OTHER_VOICES = 3


class PiperEngine:
    name = "piper"

    def __init__(
        self, default: Voice, others: dict[str, Voice], find_other: Callable[[str], Voice], speed: float
    ) -> None:
        """`others` are kept, and go by the names that TTS_VOICES has for them; `find_other` loads what callers name."""
        self.model = default.name
        self._default, self._others = default, {default.name: default} | others
        self._find_other = lru_cache(maxsize=_MAX_OTHER_VOICES)(find_other)
        self._speed = speed

    def synthesize(self, text: str, language: str | None, voice: str | None) -> Speech:
        """As in `TtsEngine`. A Piper voice speaks one language, whatever the text's is."""
        chosen = (self._others.get(voice) or self._find_other(voice)) if voice else self._default
        return chosen.speak(speakable(text), self._speed)


def load(settings: TtsSettings) -> PiperEngine:
    """The engine with the voices that TTS_VOICE and TTS_VOICES name, warm; fetched first where MODELS_DIR does not have
    them yet. In the middle of a job, fetching or loading one would keep somebody waiting.

    Raises:
        StartupError: one of them cannot be had or cannot speak.
    """
    threads = settings.tts_threads or _threads(available_cpus())
    opened = partial(open_voice, threads=threads, download_dir=settings.models_dir)
    default = _wanted(settings.tts_voice, "TTS_VOICE", settings.models_dir, opened)
    others = {
        name: default if name == settings.tts_voice else _wanted(name, "TTS_VOICES", settings.models_dir, opened)
        for name in sorted(set(settings.voices.values()))
    }

    def find_other(name: str) -> Voice:
        other = installed_voice(name, settings.models_dir)
        if other is None:
            raise UnknownVoice
        try:
            return opened(other)
        except BrokenVoice as error:
            log.warning("voice_broken", voice=name)
            raise UnknownVoice from error

    return PiperEngine(default, others, find_other, settings.tts_speed)


def _threads(cpus: int) -> int:
    """On two cores two threads speak 1.7 times as fast as one, and take 6 % off what two busy workers get done. Where
    there are more, others measured half of them to be faster than all; and the other workers need some too."""
    return max(min(cpus, 2), cpus // 2)


def _wanted(name: str, variable: str, models_dir: Path, opened: Callable[[Path], Voice]) -> Voice:
    """The voice that an operator has named in `variable`."""
    if name.endswith(".onnx"):
        model = _local_voice(Path(name), variable)
    else:
        model = installed_voice(name, models_dir) or _fetched(name, variable, models_dir, opened)
    try:
        return opened(model)
    except BrokenVoice as error:
        raise StartupError(
            f"{variable} names {model.name.removesuffix('.onnx')}, which is damaged, or needs a package that is not "
            f"installed. Remove its files to fetch it again, or name another voice in {variable}."
        ) from error


def _local_voice(model: Path, variable: str) -> Path:
    if not model.is_file():
        raise StartupError(f"{variable} names an .onnx file that does not exist.")
    if not config_of(model).is_file():
        raise StartupError(f"{variable} names an .onnx file without its .onnx.json beside it.")
    return model


def _fetched(name: str, variable: str, models_dir: Path, opened: Callable[[Path], Voice]) -> Path:
    try:
        return fetch_voice(name, models_dir, check=opened, variable=variable)
    except BrokenVoice as error:
        raise StartupError(
            f"{variable} names {name}, which could not be fetched into MODELS_DIR: what came is not a whole voice, or "
            f"one that needs a package that is not installed. Try again, or name another voice in {variable}."
        ) from error
