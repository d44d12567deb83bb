"""Memory of the STT worker's child process."""

import asyncio
import itertools
from functools import partial
from pathlib import Path

import psutil
import pytest

from shared.worker.engine_process import EngineProcess
from stt_worker.child import Recognizer, load_in_child
from stt_worker.settings import SttSettings

pytestmark = pytest.mark.models

MODELS = Path(__file__).parents[1] / "speech_models"


async def test_memory_does_not_grow_with_the_number_of_utterances() -> None:
    """500 utterances take at most 5 % more memory than 50: single, batched, full window, opened but not recognized."""
    settings = SttSettings(_env_file=None, stt_model=str(MODELS / "tiny-whisper"), stt_device="cpu")  # type: ignore[call-arg]
    samples = itertools.cycle(sorted((MODELS / "samples").glob("*.wav")))
    others = set(psutil.Process().children())
    process = EngineProcess(partial(load_in_child, settings), service="stt-worker", log_level="ERROR")
    try:
        await process.start()
        new = set(psutil.Process().children()) - others
        [child] = [candidate for candidate in new if "resource_tracker" not in " ".join(candidate.cmdline())]

        async def memory_after(count: int) -> int:
            """The child's resident memory after `count` more utterances, in bytes."""
            for number in range(0, count, 10):
                batch = [(next(samples), "en") for _ in range(8)]
                await process.run(Recognizer.open, 60, batch[0][0])
                await process.run(Recognizer.recognize_batch, 60, batch)
                await process.run(Recognizer.recognize, 60, next(samples), "en")
                await process.run(Recognizer.recognize, 60, next(samples), None if number % 50 == 0 else "en")
            return int(child.memory_info().rss)

        after_50 = await memory_after(50)
        after_500 = await memory_after(450)
        assert after_500 < after_50 * 1.05
    finally:
        await asyncio.to_thread(process.close)
