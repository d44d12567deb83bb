"""The part of the worker that runs in its child process: the engine."""

from shared.worker.engine_registry import find_engine
from tts_worker.engine import TtsEngine
from tts_worker.settings import TtsSettings


def load_in_child(settings: TtsSettings) -> TtsEngine:
    """Load and warm the engine that `TTS_ENGINE` names. A module-level function, so that it can be pickled.

    Raises:
        StartupError: the engine or its voice is missing; the message names the variable to set.
    """
    engine: TtsEngine = find_engine("tts", settings.tts_engine)(settings)
    return engine
