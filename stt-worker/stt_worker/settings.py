"""Settings of the STT worker."""

from typing import Literal

from pydantic import Field

from shared.settings import WorkerSettings


class SttSettings(WorkerSettings):
    """Settings that only the STT worker reads."""

    stt_engine: str = "faster-whisper"
    """`faster-whisper`, `pocketsphinx` (English only, for demonstrations), or an installed third-party engine."""

    stt_model: str = "base"
    """A faster-whisper model's name (`tiny`, `base`, `small`, `large-v3-turbo`, …) or a local directory."""

    stt_device: Literal["auto", "cpu", "cuda"] = "auto"
    """The device of faster-whisper; `auto` takes a GPU if there is one, else the CPU."""

    stt_compute_type: str = "default"
    """CTranslate2's compute type; `default` is `int8` on a CPU and `int8_float16` on a GPU."""

    stt_threads: int = Field(default=0, ge=0)
    """Threads of one worker; 0 takes as many as the container's CPU limit allows, 8 at most."""

    stt_short_window: Literal["auto", "off"] = "auto"
    """`auto` lets faster-whisper recognize a short utterance of known language in a window shorter than 30 s, and again
    in the full window if the result fails a quality check; `off` always uses the full window."""

    stt_batch: int = Field(default=8, ge=1)
    """Most short utterances that one worker recognizes in one pass; a batch never waits for more jobs to arrive."""

    stt_language: str = ""
    """ISO 639-1 code of the language of all recordings; empty detects it for each recording."""

    stt_timeout_s: float = Field(default=60, gt=0)
    """Seconds that recognizing may take before the engine is killed and restarted, plus STT_TIMEOUT_RATIO's share."""

    stt_timeout_ratio: float = Field(default=10, ge=0)
    """Extra timeout per second of audio, in seconds."""

    stt_max_audio_s: float = Field(default=600, gt=0)
    """The longest accepted recording, in seconds; longer ones are rejected."""
