"""What the TTS worker is told by its environment."""

import re

from pydantic import Field, field_validator

from shared.settings import WorkerSettings

#: `de=de_DE-thorsten-medium`: a language, and the voice that speaks it.
_OF_LANGUAGE = re.compile(r"\s*([A-Za-z]{2,3})\s*=\s*(\S(?:.*\S)?)\s*")


class TtsSettings(WorkerSettings):
    """Settings of the TTS worker."""

    tts_engine: str = "piper"
    """`piper`, `espeak`, or an installed third-party engine."""

    tts_voice: str = "en_US-lessac-medium"
    """With `piper` a voice's name, fetched once into MODELS_DIR, or a local `.onnx` file with its `.onnx.json` beside
    it. With `espeak` a language tag such as `en-gb` or `de`; of a Piper voice's name it keeps the language."""

    tts_voices: str = ""
    """Voices of languages, separated by commas, such as `de=de_DE-thorsten-medium,fr=fr_FR-siwis-medium`: each as
    TTS_VOICE has it, for answers in that language whose caller named no voice. TTS_VOICE speaks all others. All are
    fetched and loaded when the worker starts; with `piper` each takes about 100 MB of memory."""

    tts_speed: float = Field(default=1.0, ge=0.5, le=2.0)
    """How fast the voice speaks; 1 is its own pace."""

    tts_timeout_s: float = Field(default=60, gt=0)
    """How long speaking a sentence may take before its engine is ended and started anew; long texts get more."""

    tts_threads: int = Field(default=0, ge=0)
    """Threads of one worker; 0 takes two of the CPUs that the container may use, or half where that is more."""

    tts_cache_mb: float = Field(default=64, ge=0)
    """What is spoken may be used again for the same text, for as long as a job that has it keeps its segments: so many
    megabytes of 1,000,000 bytes, for all workers on the volume. 0 speaks each text anew."""

    @field_validator("tts_voices")
    @classmethod
    def _of_languages(cls, voices: str) -> str:
        pairs = [_OF_LANGUAGE.fullmatch(pair) for pair in voices.split(",")] if voices.strip() else []
        languages = [pair[1].lower() for pair in pairs if pair]
        if len(languages) < len(pairs):
            raise ValueError("it must be like de=de_DE-thorsten-medium,fr=fr_FR-siwis-medium")
        if len(set(languages)) < len(languages):
            raise ValueError("it names a language twice")
        return voices

    @property
    def voices(self) -> dict[str, str]:
        """By language."""
        return {pair[1].lower(): pair[2] for pair in map(_OF_LANGUAGE.fullmatch, self.tts_voices.split(",")) if pair}

    def voice_of(self, language: str | None) -> str | None:
        """The voice for a language such as `de` or `de-CH`; None where TTS_VOICE speaks it."""
        return self.voices.get(re.split("[-_]", language.lower())[0]) if language else None
