"""What runs in the worker's child process."""

from shared.worker.engine_registry import find_engine
from tts_worker.engine import TtsEngine
from tts_worker.settings import TtsSettings


def load_synthesizer(settings: TtsSettings) -> TtsEngine:
    """The engine that `TTS_ENGINE` names, warm. A function of this module, so that a child process can be handed it.

    Raises:
        StartupError: the engine or its voice is missing; the message names the variable to set.
    """
    engine: TtsEngine = find_engine("tts", settings.tts_engine)(settings)
    return engine
