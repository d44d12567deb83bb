"""Run one LLM worker: `python -m llm_worker`."""

from functools import partial

from llm_worker.handler import open_llm
from llm_worker.settings import LlmSettings
from shared.settings import read_settings
from shared.worker.run import run_stage


def main() -> None:
    """Run the LLM stage until SIGTERM or SIGINT."""
    settings = read_settings(LlmSettings, "llm-worker")
    run_stage("llm", settings, partial(open_llm, settings), concurrency=settings.llm_concurrency)


if __name__ == "__main__":
    main()
