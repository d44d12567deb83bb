"""The part of the worker that runs in its child process: the engine, and the decoder before it."""

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
    """The result for one recording."""

    transcript: Transcript

    duration_s: float
    """Length of the whole recording, silence included."""


class Recognizer:
    """Decodes recordings and runs the engine on them, within the configured limits."""

    def __init__(self, engine: SttEngine, settings: SttSettings) -> None:
        self.name = engine.name
        self.model = engine.model
        self._engine = engine
        self._language = settings.stt_language
        self._max_audio_s = settings.stt_max_audio_s
        self._batch = settings.stt_batch
        self._decoded: dict[Path, Samples] = {}

    def open(self, path: Path) -> float:
        """Decode the file at `path` and keep the samples for the call that recognizes it; its length in seconds.

        Raises:
            InputError: the recording cannot be served; see `decode`.
            OSError: the file cannot be read, for instance because its job has been erased.
        """
        samples = self._decoded.pop(path, None)
        if samples is None:
            samples = decode(path, self._max_audio_s)
        self._decoded[path] = samples
        # Not every recording that is opened is recognized: the oldest are dropped first.
        while sum(recording.size for recording in self._decoded.values()) > self._max_audio_s * SAMPLE_RATE_HZ:
            del self._decoded[next(iter(self._decoded))]
        return samples.size / SAMPLE_RATE_HZ

    def batch_size(self) -> int:
        """Return the most recordings for one call of `recognize_batch`; 1 if the engine takes no batches."""
        return self._batch if isinstance(self._engine, BatchEngine) else 1

    def recognize_batch(self, recordings: Sequence[tuple[Path, str | None]]) -> list[Recognition | Exception | None]:
        """For each file and language hint, the result or error of `recognize`; None if only `recognize` can serve it.

        An error of one recording leaves the others alone.

        Raises:
            EngineError: the engine failed on all of them.
        """
        assert isinstance(self._engine, BatchEngine)
        results: list[Recognition | Exception | None] = [None] * len(recordings)
        decoded: dict[int, Samples] = {}
        for index, (path, _) in enumerate(recordings):
            try:
                decoded[index] = self._samples(path)
            except (CascadeError, OSError) as error:
                results[index] = error
        languages = [self._language_for(recordings[index][1]) for index in decoded]
        try:
            transcripts = self._engine.transcribe_batch(list(decoded.values()), languages)
        except RuntimeError as error:
            raise EngineError from error
        for index, transcript in zip(decoded, transcripts, strict=True):
            if transcript is None:
                continue  # its samples stay for `recognize`
            self._decoded.pop(recordings[index][0], None)
            if isinstance(transcript, Transcript):
                results[index] = Recognition(transcript, decoded[index].size / SAMPLE_RATE_HZ)
            else:
                results[index] = transcript if isinstance(transcript, CascadeError) else EngineError()
        return results

    def recognize(self, path: Path, language: str | None) -> Recognition:
        """Recognize the file at `path`, decoding it unless it is open. `language` is a hint, as in `en` or `en-US`.

        Raises:
            InputError: the recording cannot be served; see `decode` and the engine.
            EngineError: the engine failed on it.
            OSError: the file cannot be read, for instance because its job has been erased.
        """
        samples = self._samples(path)
        self._decoded.pop(path, None)
        try:
            transcript = self._engine.transcribe(samples, self._language_for(language))
        except RuntimeError as error:  # raised by the native libraries, out of GPU memory for instance
            raise EngineError from error
        return Recognition(transcript, samples.size / SAMPLE_RATE_HZ)

    def _samples(self, path: Path) -> Samples:
        # A child that opened the file may have died since.
        return self._decoded[path] if path in self._decoded else decode(path, self._max_audio_s)

    def _language_for(self, hint: str | None) -> str | None:
        """The hint's language without its region, else STT_LANGUAGE; None asks for detection."""
        return (hint or self._language).lower().split("-")[0] or None


def load_in_child(settings: SttSettings) -> Recognizer:
    """Load and warm the engine that `STT_ENGINE` names. A module-level function, so that it can be pickled.

    Raises:
        StartupError: the engine or its model is missing; the message names the variable to set.
    """
    return Recognizer(find_engine("stt", settings.stt_engine)(settings), settings)
