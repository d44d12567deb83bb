"""Piper: neural voices that run several times faster than real time on a CPU."""

from collections.abc import Callable
from functools import lru_cache, partial
from pathlib import Path

from shared.errors import StartupError, UnknownVoice
from shared.logs import get_logger
from shared.worker.cpu import available_cpus
from tts_worker.engine import Speech
from tts_worker.engines.piper.download import config_of, fetch_voice, installed_voice
from tts_worker.engines.piper.voice import BrokenVoice, Voice, open_voice
from tts_worker.sanitize import sanitize_for_engine
from tts_worker.settings import TtsSettings

log = get_logger()

#: Requested voices that stay in memory besides those of the settings, about 100 MB each.
_MAX_REQUESTED_VOICES = 3


class PiperEngine:
    """Synthesizes with the requested voice, or with the default one."""

    name = "piper"

    def __init__(
        self, default: Voice, configured: dict[str, Voice], load_requested: Callable[[str], Voice], speed: float
    ) -> None:
        """`configured` are the voices of TTS_VOICES by the names that it uses, and always stay in memory;
        `load_requested` loads any other voice that a request names."""
        self.model = default.name
        self._default = default
        self._configured = {default.name: default} | configured
        self._load_requested = lru_cache(maxsize=_MAX_REQUESTED_VOICES)(load_requested)
        self._speed = speed

    def synthesize(self, text: str, language: str | None, voice: str | None) -> Speech:
        """See `TtsEngine`. A Piper voice has only one language and ignores the text's."""
        selected = (self._configured.get(voice) or self._load_requested(voice)) if voice else self._default
        return selected.synthesize(sanitize_for_engine(text), self._speed)


def load(settings: TtsSettings) -> PiperEngine:
    """Load and warm the voices that TTS_VOICE and TTS_VOICES name, and download those that MODELS_DIR does not have:
    downloading or loading one during a job would delay its client.

    Raises:
        StartupError: one of them is missing or broken.
    """
    threads = settings.tts_threads or _default_threads(available_cpus())
    load_voice = partial(open_voice, threads=threads, download_dir=settings.models_dir)
    default = _configured_voice(settings.tts_voice, "TTS_VOICE", settings.models_dir, load_voice)
    configured = {
        name: default
        if name == settings.tts_voice
        else _configured_voice(name, "TTS_VOICES", settings.models_dir, load_voice)
        for name in sorted(set(settings.voices.values()))
    }

    def load_requested(name: str) -> Voice:
        model = installed_voice(name, settings.models_dir)
        if model is None:
            raise UnknownVoice
        try:
            return load_voice(model)
        except BrokenVoice as error:
            log.warning("voice_broken", voice=name)
            raise UnknownVoice from error

    return PiperEngine(default, configured, load_requested, settings.tts_speed)


def _default_threads(cpus: int) -> int:
    """The number of threads for a container with `cpus` CPUs.

    On two cores, two threads are 1.7 times as fast as one, and reduce the throughput of two busy workers by 6 %. On
    more, half of the cores were measured elsewhere to be faster than all; and the other workers need some too.
    """
    return max(min(cpus, 2), cpus // 2)


def _configured_voice(name: str, variable: str, models_dir: Path, load_voice: Callable[[Path], Voice]) -> Voice:
    """Load the voice that an operator named in `variable`."""
    if name.endswith(".onnx"):
        model = _local_voice(Path(name), variable)
    else:
        model = installed_voice(name, models_dir) or _download(name, variable, models_dir, load_voice)
    try:
        return load_voice(model)
    except BrokenVoice as error:
        raise StartupError(
            f"{variable} names {model.name.removesuffix('.onnx')}, which is damaged, or needs a package that is not "
            f"installed. Remove its files to download it again, or set {variable} to another voice."
        ) from error


def _local_voice(model: Path, variable: str) -> Path:
    if not model.is_file():
        raise StartupError(f"{variable} names an .onnx file that does not exist.")
    if not config_of(model).is_file():
        raise StartupError(f"{variable} names an .onnx file without its .onnx.json in the same folder.")
    return model


def _download(name: str, variable: str, models_dir: Path, load_voice: Callable[[Path], Voice]) -> Path:
    try:
        return fetch_voice(name, models_dir, check=load_voice, variable=variable)
    except BrokenVoice as error:
        raise StartupError(
            f"{variable} names {name}, which could not be fetched into MODELS_DIR: the files are incomplete, or "
            f"need a package that is not installed. Try again, or set {variable} to another voice."
        ) from error
