"""What the TTS worker is told by its environment."""

from pydantic import Field

from shared.settings import WorkerSettings


class TtsSettings(WorkerSettings):
    """Settings of the TTS worker."""

    tts_engine: str = "piper"
    """`piper`, `espeak`, or an installed third-party engine."""

    tts_voice: str = "en_US-lessac-medium"
    """With `piper` a voice's name, fetched once into MODELS_DIR, or a local `.onnx` file with its `.onnx.json` beside
    it. With `espeak` a language tag such as `en-gb` or `de`; of a Piper voice's name it keeps the language."""

    tts_speed: float = Field(default=1.0, ge=0.5, le=2.0)
    """How fast the voice speaks; 1 is its own pace."""

    tts_timeout_s: float = Field(default=60, gt=0)
    """How long speaking a sentence may take before its engine is ended and started anew; long texts get more."""

    tts_threads: int = Field(default=0, ge=0)
    """Threads of one worker; 0 takes half of what the container's CPU limit allows."""
