"""The STT worker's recognizer with an engine that only counts samples, and with a measurement of its memory."""

from fuzz.memory import peak_bytes
from stt_worker.child import Recognizer
from stt_worker.engine import Samples, Transcript
from stt_worker.settings import SttSettings

MAX_AUDIO_S = 60.0


class CountingEngine:
    """An engine whose transcript is the number and the range of the samples."""

    name = "counts"
    model = "none"

    def transcribe(self, samples: Samples, language: str | None) -> Transcript:
        return Transcript(f"{samples.size} samples from {samples.min()} to {samples.max()}", language or "en")


class WatchedRecognizer(Recognizer):
    """A recognizer that reports its child process's peak memory."""

    def peak_bytes(self) -> int:
        return peak_bytes()


def load() -> WatchedRecognizer:
    """Build the recognizer in the child process."""
    return WatchedRecognizer(CountingEngine(), SttSettings(_env_file=None, stt_max_audio_s=MAX_AUDIO_S))
