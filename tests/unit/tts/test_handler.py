"""The TTS handler: a job without an LLM stage."""

from typing import cast

from shared.queue.messages import Claim, Outcome, WorkerInfo
from shared.storage.local import LocalStorage
from shared.worker.engine_process import EngineProcess
from tts_worker.engine import TtsEngine
from tts_worker.handler import TtsHandler
from tts_worker.settings import TtsSettings


async def test_task_without_a_part_splits_the_text(tmp_path) -> None:
    """A TTS task without a part splits the job's text into parts without the engine."""
    process = cast("EngineProcess[TtsEngine]", None)
    handler = TtsHandler(
        process, WorkerInfo("tts", "fake", "fake"), LocalStorage(tmp_path), TtsSettings(_env_file=None)
    )

    async def record_step(_outcome: Outcome) -> None:
        raise AssertionError

    fields = {"response": "Come here, please. Dinner is ready.", "language": "en"}
    outcome = await handler.handle(Claim("tts:a", "token", 1, "", fields), record_step)
    assert outcome == Outcome(parts=("tts", ["Come here, please.", "Dinner is ready."]))
