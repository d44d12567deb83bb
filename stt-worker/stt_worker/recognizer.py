"""What the STT worker's child process does with one recording."""

from dataclasses import dataclass
from pathlib import Path

from shared.engines import find_engine
from shared.errors import EngineError
from stt_worker.audio import decode
from stt_worker.engine import SAMPLE_RATE_HZ, Samples, SttEngine, Transcript
from stt_worker.settings import SttSettings


@dataclass(frozen=True)
class Recognition:
    """What was heard in a recording."""

    transcript: Transcript

    duration_s: float
    """Length of the whole recording, silence included."""


class Recognizer:
    """An engine and the limits within which it works."""

    def __init__(self, engine: SttEngine, settings: SttSettings) -> None:
        self.name = engine.name
        self.model = engine.model
        self._engine = engine
        self._language = settings.stt_language
        self._max_audio_s = settings.stt_max_audio_s
        self._opened: dict[Path, Samples] = {}

    def open(self, path: Path) -> float:
        """Decode the file at `path` for the `recognize` that follows; its length in seconds.

        Raises:
            InputError: the recording cannot be served; see `decode`.
            OSError: the file cannot be read, for instance because its job has been erased.
        """
        samples = decode(path, self._max_audio_s)
        self._opened = {path: samples}
        return samples.size / SAMPLE_RATE_HZ

    def recognize(self, path: Path, language: str | None) -> Recognition:
        """What is said in the file at `path`, which is opened if it is not. `language` is the caller's hint, as in `en`
        or `en-US`.

        Raises:
            InputError: the recording cannot be served; see `decode` and the engine.
            EngineError: the engine failed on it.
            OSError: the file cannot be read, for instance because its job has been erased.
        """
        if path not in self._opened:  # the process that opened it may have died since
            self.open(path)
        samples = self._opened.pop(path)
        hint = (language or self._language).lower().split("-")[0] or None
        try:
            transcript = self._engine.transcribe(samples, hint)
        except RuntimeError as error:  # what the native libraries raise, out of GPU memory for instance
            raise EngineError from error
        return Recognition(transcript, samples.size / SAMPLE_RATE_HZ)


def load_recognizer(settings: SttSettings) -> Recognizer:
    """Load the engine that `settings` names. Slow; called once in each process that computes.

    Raises:
        StartupError: the engine or its model is missing; the message names the setting.
    """
    return Recognizer(find_engine("stt", settings.stt_engine)(settings), settings)
