"""Run one TTS worker: `python -m tts_worker`."""

from functools import partial

from shared.settings import read_settings
from shared.worker.run import run_stage
from tts_worker.handler import open_tts
from tts_worker.settings import TtsSettings


def main() -> None:
    """Run the TTS stage until SIGTERM or SIGINT."""
    settings = read_settings(TtsSettings, "tts-worker")
    run_stage("tts", settings, partial(open_tts, settings))


if __name__ == "__main__":
    main()
