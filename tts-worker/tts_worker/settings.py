"""Settings of the TTS worker, read from the environment."""

import re

from pydantic import Field, field_validator

from shared.settings import WorkerSettings

#: A language and its voice, as in `de=de_DE-thorsten-medium`.
_LANGUAGE_VOICE = re.compile(r"\s*([A-Za-z]{2,3})\s*=\s*(\S(?:.*\S)?)\s*")


class TtsSettings(WorkerSettings):
    """Settings of the TTS worker."""

    tts_engine: str = "piper"
    """Speech synthesis engine: `piper`, `espeak`, or an installed third-party engine."""

    tts_voice: str = "en_US-lessac-medium"
    """Default voice. With `piper`, a voice's name, downloaded once into MODELS_DIR, or the path of an `.onnx` file that
    has its `.onnx.json` in the same folder. With `espeak`, a language tag such as `en-gb` or `de`; of a Piper voice's
    name, `espeak` uses the language."""

    tts_voices: str = ""
    """Voices by language, separated by commas, such as `de=de_DE-thorsten-medium,fr=fr_FR-siwis-medium`. Each is a
    voice as in TTS_VOICE, for answers in that language to requests without a voice; TTS_VOICE is used for all others.
    All are downloaded and loaded when the worker starts; with `piper`, each takes about 100 MB of memory."""

    tts_speed: float = Field(default=1.0, ge=0.5, le=2.0)
    """Speed of the speech as a multiple of the voice's own, 0.5 to 2."""

    tts_timeout_s: float = Field(default=60, gt=0)
    """Longest time to synthesize a segment, in seconds, to which 2/15 s is added for each character. After it, the
    engine is restarted and the job retried."""

    tts_threads: int = Field(default=0, ge=0)
    """Threads of one worker's engine; 0 uses two of the container's CPUs, or half of them if that is more."""

    tts_cache_mb: float = Field(default=64, ge=0)
    """Size of the speech cache in MB (10^6 bytes), shared by all TTS workers; 0 disables it. A segment stays in the
    cache for as long as a job that contains it is kept."""

    @field_validator("tts_voices")
    @classmethod
    def _check_voices(cls, voices: str) -> str:
        pairs = [_LANGUAGE_VOICE.fullmatch(pair) for pair in voices.split(",")] if voices.strip() else []
        languages = [pair[1].lower() for pair in pairs if pair]
        if len(languages) < len(pairs):
            raise ValueError("it must be like de=de_DE-thorsten-medium,fr=fr_FR-siwis-medium")
        if len(set(languages)) < len(languages):
            raise ValueError("it names a language twice")
        return voices

    @property
    def voices(self) -> dict[str, str]:
        """The voices of TTS_VOICES by language."""
        return {pair[1].lower(): pair[2] for pair in map(_LANGUAGE_VOICE.fullmatch, self.tts_voices.split(",")) if pair}

    def voice_for(self, language: str | None) -> str | None:
        """The voice for a language such as `de` or `de-CH`; None if TTS_VOICES has none."""
        return self.voices.get(re.split("[-_]", language.lower())[0]) if language else None
