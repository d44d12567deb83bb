"""Settings of the STT worker, read from the environment."""

from typing import Literal

from pydantic import Field

from shared.settings import WorkerSettings


class SttSettings(WorkerSettings):
    """Settings of the STT worker."""

    stt_engine: str = "faster-whisper"
    """Speech recognition engine: `faster-whisper`, `pocketsphinx` (English only, for demonstrations), or an installed
    third-party engine."""

    stt_model: str = "base"
    """Name of a faster-whisper model (`tiny`, `base`, `small`, `large-v3-turbo`, …), or a local directory."""

    stt_device: Literal["auto", "cpu", "cuda"] = "auto"
    """Device of faster-whisper; `auto` uses a GPU if there is one, else the CPU."""

    stt_compute_type: str = "default"
    """Compute type of CTranslate2; `default` is `int8` on a CPU and `int8_float16` on a GPU."""

    stt_threads: int = Field(default=0, ge=0)
    """Threads of one worker's engine; 0 uses all of the container's CPUs, 8 at most."""

    stt_short_window: Literal["auto", "off"] = "auto"
    """`auto` lets faster-whisper recognize a short utterance of known language in a window shorter than 30 s, and again
    in the full window if the result fails a quality check; `off` always uses the full window."""

    stt_batch: int = Field(default=8, ge=1)
    """Maximum number of short utterances that one worker recognizes in one pass. A batch never waits for more jobs to
    arrive."""

    stt_language: str = ""
    """ISO 639-1 code of the language of all recordings; empty detects it for each one."""

    stt_timeout_s: float = Field(default=60, gt=0)
    """Longest time to recognize a recording, in seconds, to which STT_TIMEOUT_RATIO is added for each second of audio.
    After it, the engine is restarted and the job retried."""

    stt_timeout_ratio: float = Field(default=10, ge=0)
    """Extra timeout per second of audio, in seconds."""

    stt_max_audio_s: float = Field(default=600, gt=0)
    """Longest accepted recording, in seconds; longer ones are rejected."""
