"""What the STT stage does with its tasks."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from shared.background import in_thread
from shared.queue import job_fields
from shared.queue.events import TranscriptEvent
from shared.queue.messages import Claim, Outcome, WorkerInfo
from shared.queue.stages import stage_after, task_name
from shared.storage.storage import Storage
from shared.worker.engine_process import EngineProcess, warm_engine
from shared.worker.steps import Extend
from stt_worker.batcher import Batcher
from stt_worker.child import Recognition, Recognizer, load_in_child
from stt_worker.settings import SttSettings

#: A recording that is longer shares its pass with nobody.
MOST_TOGETHER_S = 30


@dataclass(frozen=True)
class Request:
    """A recording to recognize."""

    path: Path
    language: str | None
    duration_s: float


class SttHandler:
    """Turns an upload into a transcript."""

    def __init__(
        self, process: EngineProcess[Recognizer], info: WorkerInfo, storage: Storage, settings: SttSettings
    ) -> None:
        self.info = info
        self._process, self._storage, self._settings = process, storage, settings
        self._together = Batcher(self._recognize_all)

    async def handle(self, claim: Claim, _extend: Extend) -> Outcome:
        async with in_thread(self._storage.local_copy(claim.job_id)) as path:
            recognition = await self._recognize(claim, path)
        transcript = recognition.transcript
        fields = {
            job_fields.TRANSCRIPT: transcript.text,
            job_fields.LANGUAGE: transcript.language,
            job_fields.INPUT_DURATION_S: f"{recognition.duration_s:.3f}",
            **self.info.engine_fields(),
        }
        ways = {"strategy": transcript.strategy, "fallback_reason": transcript.fallback_reason}
        told = {name: way for name, way in ways.items() if way}
        fields |= {f"{name}:stt": way for name, way in told.items()}
        counts = {f"stt_{name}:{way}": 1 for name, way in told.items()}
        event = TranscriptEvent(transcript.text, transcript.language)
        follows = stage_after(claim.fields[job_fields.ROUTE], "stt")
        tasks = [(task_name(follows, claim.job_id), "")] if follows else []
        return Outcome(fields, tasks, events=[event], counts=counts)

    async def _recognize(self, claim: Claim, path: Path) -> Recognition:
        with self._together.on_the_way() as ask_together:
            duration_s = await self._process.run(Recognizer.open, self._settings.stt_timeout_s, path)
            request = Request(path, claim.fields.get(job_fields.LANGUAGE_HINT), duration_s)
            # What was tried before goes alone: it may have been what ended the engine under all who were with it.
            if claim.attempt == 1 and duration_s <= MOST_TOGETHER_S:
                recognition = await ask_together(request)
                if recognition is not None:
                    return recognition
        return await self._recognize_alone(request)

    async def _recognize_alone(self, request: Request) -> Recognition:
        timeout_s = self._timeout_s(request.duration_s)
        return await self._process.run(Recognizer.recognize, timeout_s, request.path, request.language)

    async def _recognize_all(self, requests: Sequence[Request]) -> Sequence[Recognition | Exception | None]:
        if len(requests) == 1:
            return [await self._recognize_alone(requests[0])]
        timeout_s = self._timeout_s(sum(request.duration_s for request in requests))
        named = [(request.path, request.language) for request in requests]
        return await self._process.run(Recognizer.recognize_batch, timeout_s, named)

    def _timeout_s(self, duration_s: float) -> float:
        return self._settings.stt_timeout_s + duration_s * self._settings.stt_timeout_ratio


@asynccontextmanager
async def open_stt(settings: SttSettings, storage: Storage) -> AsyncIterator[SttHandler]:
    """A warm handler, and its engine's process ended when it is left.

    Raises:
        StartupError: the engine or its model is missing.
    """
    async with warm_engine("stt", partial(load_in_child, settings), settings.log_level) as (process, info):
        batch = await process.run(Recognizer.batch_size, settings.stt_timeout_s)
        yield SttHandler(process, replace(info, batch=batch), storage, settings)
