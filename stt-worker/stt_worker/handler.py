"""Handler of the STT stage: turns uploads into transcripts, several short ones in one pass."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
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
from shared.worker.handler import BatchResults, RecordStep
from stt_worker.child import Recognition, Recognizer, load_in_child
from stt_worker.settings import SttSettings

#: The longest recording that is batched: a longer one does not fit into one window, and would delay the others.
_MAX_BATCHED_S = 30


@dataclass(frozen=True)
class _Recording:
    """An upload that the child process has decoded."""

    path: Path
    language: str | None
    """The client's hint."""

    duration_s: float


class SttHandler:
    """Turns a recording into a transcript, with the engine in a child process."""

    def __init__(
        self, process: EngineProcess[Recognizer], info: WorkerInfo, storage: Storage, settings: SttSettings
    ) -> None:
        self.info = info
        self._process = process
        self._storage = storage
        self._settings = settings

    async def handle(self, claim: Claim, _record_step: RecordStep) -> Outcome:
        async with AsyncExitStack() as copies:
            recording = await self._open(claim, copies)
            timeout_s = self._timeout_s(recording.duration_s)
            recognition = await self._process.run(Recognizer.recognize, timeout_s, recording.path, recording.language)
        return self._outcome(claim, recognition)

    async def handle_batch(self, claims: Sequence[Claim], is_cancelled: Callable[[Claim], bool]) -> BatchResults:
        """Recognize the short recordings of `claims` in one pass; leave the others, and a single one, to `handle`."""
        async with AsyncExitStack() as copies:
            opened = await asyncio.gather(*(self._open(claim, copies) for claim in claims), return_exceptions=True)
            results: list[Outcome | Exception | None] = [
                recording if isinstance(recording, Exception) else None for recording in opened
            ]
            batch = {
                index: recording
                for index, recording in enumerate(opened)
                if isinstance(recording, _Recording)
                and recording.duration_s <= _MAX_BATCHED_S
                and not is_cancelled(claims[index])
            }
            if len(batch) > 1:
                recognitions = await self._recognize_batch(list(batch.values()))
                for index, recognition in zip(batch, recognitions, strict=True):
                    results[index] = self._batch_result(claims[index], recognition)
        return results

    async def _open(self, claim: Claim, copies: AsyncExitStack) -> _Recording:
        """Decode the claim's upload in the child process. The file stays until `copies` is closed."""
        path = await copies.enter_async_context(in_thread(self._storage.local_copy(claim.job_id)))
        duration_s = await self._process.run(Recognizer.open, self._settings.stt_timeout_s, path)
        return _Recording(path, claim.fields.get(job_fields.LANGUAGE_HINT), duration_s)

    async def _recognize_batch(self, recordings: Sequence[_Recording]) -> list[Recognition | Exception | None]:
        timeout_s = self._timeout_s(sum(recording.duration_s for recording in recordings))
        inputs = [(recording.path, recording.language) for recording in recordings]
        return await self._process.run(Recognizer.recognize_batch, timeout_s, inputs)

    def _batch_result(self, claim: Claim, recognition: Recognition | Exception | None) -> Outcome | Exception | None:
        if not isinstance(recognition, Recognition):
            return recognition
        try:
            return self._outcome(claim, recognition)
        except (LookupError, ValueError) as error:  # damaged fields of one job must not fail the others
            return error

    def _outcome(self, claim: Claim, recognition: Recognition) -> Outcome:
        transcript = recognition.transcript
        fields = {
            job_fields.TRANSCRIPT: transcript.text,
            job_fields.LANGUAGE: transcript.language,
            job_fields.INPUT_DURATION_S: f"{recognition.duration_s:.3f}",
            **self.info.engine_fields(),
        }
        counts: dict[str, int] = {}
        if transcript.strategy:
            fields[job_fields.STRATEGY.of("stt")] = transcript.strategy
            counts[f"stt_strategy:{transcript.strategy}"] = 1
        if transcript.fallback_reason:
            fields[job_fields.FALLBACK_REASON.of("stt")] = transcript.fallback_reason
            counts[f"stt_fallback_reason:{transcript.fallback_reason}"] = 1
        event = TranscriptEvent(transcript.text, transcript.language)
        next_stage = stage_after(claim.fields[job_fields.ROUTE], "stt")
        tasks = [(task_name(next_stage, claim.job_id), "")] if next_stage else []
        return Outcome(fields, tasks, events=[event], counts=counts)

    def _timeout_s(self, duration_s: float) -> float:
        return self._settings.stt_timeout_s + duration_s * self._settings.stt_timeout_ratio


@asynccontextmanager
async def open_stt(settings: SttSettings, storage: Storage) -> AsyncIterator[SttHandler]:
    """Yield a handler with a warm engine; end the engine's process on exit.

    Raises:
        StartupError: the engine or its model is missing.
    """
    async with warm_engine("stt", partial(load_in_child, settings), settings.log_level) as (process, info):
        batch = await process.run(Recognizer.batch_size, settings.stt_timeout_s)
        yield SttHandler(process, replace(info, batch=batch), storage, settings)
