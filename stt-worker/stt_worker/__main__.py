"""Run one STT worker: `python -m stt_worker`."""

from functools import partial

from shared.settings import read_settings
from shared.worker.run import run_stage
from stt_worker.handler import open_stt
from stt_worker.settings import SttSettings


def main() -> None:
    """Run the STT stage until SIGTERM or SIGINT."""
    settings = read_settings(SttSettings, "stt-worker")
    run_stage("stt", settings, partial(open_stt, settings))


if __name__ == "__main__":
    main()
