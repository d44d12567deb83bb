"""What the STT stage does with a task."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from shared.engine_process import EngineProcess, warm_engine
from shared.errors import InputMissing
from shared.job import stage_after, task_name
from shared.steps import Extend
from shared.storage import Storage
from shared.task import Claim, Outcome, WorkerInfo
from stt_worker.recognizer import Recognizer, load_recognizer
from stt_worker.settings import SttSettings


class SttHandler:
    """Turns an upload into a transcript."""

    def __init__(
        self, process: EngineProcess[Recognizer], info: WorkerInfo, storage: Storage, settings: SttSettings
    ) -> None:
        self.info = info
        self._process, self._storage, self._settings = process, storage, settings

    async def handle(self, claim: Claim, _extend: Extend) -> Outcome:
        path = self._storage.input_path(claim.job_id)
        if not path.is_file():
            raise InputMissing
        language = claim.fields.get("language_hint")
        timeout_s = self._settings.stt_timeout_s
        duration_s = await self._process.run(Recognizer.open, timeout_s, path)
        timeout_s += duration_s * self._settings.stt_timeout_ratio
        recognition = await self._process.run(Recognizer.recognize, timeout_s, path, language)
        fields = {
            "transcript": recognition.transcript.text,
            "language": recognition.transcript.language,
            "input_duration_s": f"{recognition.duration_s:.3f}",
            "engine:stt": self.info.engine,
            "model:stt": self.info.model,
        }
        heard = ("transcript", {"text": recognition.transcript.text, "language": recognition.transcript.language})
        follows = stage_after(claim.fields["route"], "stt")
        return Outcome(fields, [(task_name(follows, claim.job_id), "")] if follows else [], events=[heard])


@asynccontextmanager
async def open_stt(settings: SttSettings, storage: Storage) -> AsyncIterator[SttHandler]:
    """A warm handler, and its engine's process ended when it is left.

    Raises:
        StartupError: the engine or its model is missing.
    """
    async with warm_engine("stt", partial(load_recognizer, settings), settings.log_level) as (process, info):
        yield SttHandler(process, info, storage, settings)
