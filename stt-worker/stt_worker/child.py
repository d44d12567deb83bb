"""What the STT worker's child process does with recordings."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from shared.errors import CascadeError, EngineError
from shared.worker.engine_registry import find_engine
from stt_worker.audio import decode
from stt_worker.engine import SAMPLE_RATE_HZ, BatchEngine, Samples, SttEngine, Transcript
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
        self._max_audio_s, self._batch = settings.stt_max_audio_s, settings.stt_batch
        self._opened: dict[Path, Samples] = {}

    def open(self, path: Path) -> float:
        """Decode the file at `path` for the `recognize` that follows; its length in seconds.

        Raises:
            InputError: the recording cannot be served; see `decode`.
            OSError: the file cannot be read, for instance because its job has been erased.
        """
        self._opened.pop(path, None)
        samples = self._opened[path] = decode(path, self._max_audio_s)
        # Not all that is opened is recognized: what lies here longest goes first.
        while sum(each.size for each in self._opened.values()) > self._max_audio_s * SAMPLE_RATE_HZ:
            del self._opened[next(iter(self._opened))]
        return samples.size / SAMPLE_RATE_HZ

    def batch_size(self) -> int:
        """How many recordings it likes to be given at once."""
        return self._batch if isinstance(self._engine, BatchEngine) else 1

    def recognize_together(self, requests: Sequence[tuple[Path, str | None]]) -> list[Recognition | Exception | None]:
        """For each of `requests`, a file and a hint, what `recognize` would return or raise; None where it must be
        asked for that one alone. One that fails harms no other.

        Raises:
            EngineError: the engine failed on all of them.
        """
        assert isinstance(self._engine, BatchEngine)
        answers: list[Recognition | Exception | None] = [None] * len(requests)
        recordings: dict[int, Samples] = {}
        for place, (path, _) in enumerate(requests):
            try:
                recordings[place] = self._samples(path)
            except (CascadeError, OSError) as error:
                answers[place] = error
        hints = [self._hint(requests[place][1]) for place in recordings]
        try:
            heard = self._engine.transcribe_together(list(recordings.values()), hints)
        except RuntimeError as error:
            raise EngineError from error
        for place, answer in zip(recordings, heard, strict=True):
            if answer is None:
                continue  # it stays open for the one who asks again
            self._opened.pop(requests[place][0], None)
            if isinstance(answer, Transcript):
                answers[place] = Recognition(answer, recordings[place].size / SAMPLE_RATE_HZ)
            else:
                answers[place] = answer if isinstance(answer, CascadeError) else EngineError()
        return answers

    def recognize(self, path: Path, language: str | None) -> Recognition:
        """What is said in the file at `path`, which is opened if it is not. `language` is the caller's hint, as in `en`
        or `en-US`.

        Raises:
            InputError: the recording cannot be served; see `decode` and the engine.
            EngineError: the engine failed on it.
            OSError: the file cannot be read, for instance because its job has been erased.
        """
        samples = self._samples(path)
        self._opened.pop(path, None)
        try:
            transcript = self._engine.transcribe(samples, self._hint(language))
        except RuntimeError as error:  # what the native libraries raise, out of GPU memory for instance
            raise EngineError from error
        return Recognition(transcript, samples.size / SAMPLE_RATE_HZ)

    def _samples(self, path: Path) -> Samples:
        # The process that opened it may have died since.
        return self._opened[path] if path in self._opened else decode(path, self._max_audio_s)

    def _hint(self, language: str | None) -> str | None:
        return (language or self._language).lower().split("-")[0] or None


def load_recognizer(settings: SttSettings) -> Recognizer:
    """Load the engine that `settings` names. Slow; called once in each process that computes.

    Raises:
        StartupError: the engine or its model is missing; the message names the setting.
    """
    return Recognizer(find_engine("stt", settings.stt_engine)(settings), settings)
