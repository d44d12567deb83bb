"""What a worker's engine has done leaves nothing behind."""

import asyncio
import itertools
from functools import partial
from pathlib import Path

import psutil
import pytest

from shared.worker.engine_process import EngineProcess
from stt_worker.child import Recognizer, load_recognizer
from stt_worker.settings import SttSettings

pytestmark = pytest.mark.models

MODELS = Path(__file__).parents[1] / "speech_models"


async def test_five_hundred_utterances_take_no_more_memory_than_fifty() -> None:
    """Alone and together, in short windows and the full one, opened and never recognized: within a twentieth."""
    settings = SttSettings(_env_file=None, stt_model=str(MODELS / "tiny-whisper"), stt_device="cpu")  # type: ignore[call-arg]
    samples = itertools.cycle(sorted((MODELS / "samples").glob("*.wav")))
    others = set(psutil.Process().children())
    process = EngineProcess(partial(load_recognizer, settings), service="stt-worker", log_level="ERROR")
    try:
        await process.start()
        started = set(psutil.Process().children()) - others
        [child] = [each for each in started if "resource_tracker" not in " ".join(each.cmdline())]

        async def hear(count: int) -> int:
            """So many utterances; the child's resident memory after them, in bytes."""
            for number in range(0, count, 10):
                batch = [(next(samples), "en") for _ in range(8)]
                await process.run(Recognizer.open, 60, batch[0][0])
                await process.run(Recognizer.recognize_together, 60, batch)
                await process.run(Recognizer.recognize, 60, next(samples), "en")
                await process.run(Recognizer.recognize, 60, next(samples), None if number % 50 == 0 else "en")
            return int(child.memory_info().rss)

        after_50 = await hear(50)
        after_500 = await hear(450)
        assert after_500 < after_50 * 1.05
    finally:
        await asyncio.to_thread(process.close)
