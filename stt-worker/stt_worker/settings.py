"""What the STT worker is told by its environment."""

from typing import Literal

from pydantic import Field

from shared.settings import WorkerSettings


class SttSettings(WorkerSettings):
    """Settings of the STT worker."""

    stt_engine: str = "faster-whisper"
    """`faster-whisper`, `pocketsphinx` (English only, for demonstrations), or an installed third-party engine."""

    stt_model: str = "base"
    """A faster-whisper model's name (`tiny`, `base`, `small`, `large-v3-turbo`, …) or a local directory."""

    stt_device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where faster-whisper computes."""

    stt_compute_type: str = "default"
    """CTranslate2's compute type; `default` is `int8` on a CPU and `int8_float16` on a GPU."""

    stt_threads: int = Field(default=0, ge=0)
    """Threads of one worker; 0 takes what the container's CPU limit allows, 8 at most."""

    stt_short_window: Literal["auto", "off"] = "auto"
    """`auto` lets faster-whisper hear a short utterance in a window shorter than 30 s if its language is known, and
    again in the full one if the result looks doubtful; `off` never does."""

    stt_batch: int = Field(default=8, ge=1)
    """How many short utterances one worker recognizes at once, if so many wait."""

    stt_language: str = ""
    """ISO 639-1 code of the language that is always spoken; empty detects it for each recording."""

    stt_timeout_s: float = Field(default=60, gt=0)
    """How long recognizing may take before its engine is ended and started anew, beside STT_TIMEOUT_RATIO."""

    stt_timeout_ratio: float = Field(default=10, ge=0)
    """So many seconds more for each second of the recording."""

    stt_max_audio_s: float = Field(default=600, gt=0)
    """The longest recording that is accepted, in seconds."""
