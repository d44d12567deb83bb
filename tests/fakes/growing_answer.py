"""An answer that grows segment by segment, made by a fake LLM worker and a fake TTS worker that the test steps."""

import json
from collections.abc import Awaitable, Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from api.jobs.audio_formats import WAV_HEADER_BYTES
from shared.queue.events import SegmentEvent, TextEvent
from shared.queue.messages import Claim, Outcome
from shared.queue.queue import Queue
from shared.queue.stages import Stage, task_name
from shared.storage.storage import Storage
from tts_worker import wav
from tts_worker.engine import Speech

RATE_HZ = 16_000


def noise(seed: int, seconds: float = 0.5, rate_hz: int = RATE_HZ) -> NDArray[np.int16]:
    """Random samples, different for each seed."""
    samples = np.random.default_rng(seed).integers(-9_000, 9_000, round(seconds * rate_hz))
    return samples.astype(np.int16)


def wav_samples(file: bytes) -> bytes:
    """The bytes behind a WAV file's header."""
    return file[WAV_HEADER_BYTES:]


class GrowingAnswer:
    """The workers of one uploaded job, which is the only job of its queue."""

    def __init__(self, job_id: str, queue: Queue, storage: Storage, claim: Callable[[Stage], Awaitable[Claim]]) -> None:
        self.job_id = job_id
        self.queue = queue
        self._storage = storage
        self._claim = claim
        self._llm_claim: Claim | None = None
        self._llm_step = 0
        self._synthesized = 0

    async def transcribe(self) -> None:
        """Commit the transcript."""
        claim = await self._claim("stt")
        next_tasks = [(task_name("llm", self.job_id), "")]
        await self._commit(claim, Outcome({"transcript": "Why?", "language": "en"}, next_tasks))

    async def write(self, *sentences: str) -> None:
        """Commit more sentences of the answer while the LLM task is still held, as the LLM worker does."""
        if self._llm_claim is None:
            self._llm_claim = await self._claim("llm")
            self._llm_step = 0
        events = [TextEvent(" ".join(sentences))]
        outcome = Outcome({"response": "…"}, parts=("tts", sentences), events=events, steps=self._llm_step)
        assert await self.queue.commit_partial("worker", self._llm_claim, outcome) == "recorded"
        self._llm_step += 1

    async def finish_writing(self) -> None:
        """Commit the LLM task."""
        assert self._llm_claim
        await self._commit(self._llm_claim, Outcome({"response": "…"}, parts=("tts", []), steps=self._llm_step))

    async def restart(self) -> None:
        """Fail the LLM task's attempt and make the task due again; the next `write` starts a new generation."""
        assert self._llm_claim
        assert await self.queue.reschedule("worker", self._llm_claim, 0, "model_failed", crashed=False) == "rescheduled"
        assert await self.queue.promote() == 1
        self._llm_claim = None

    async def claim_segment(self) -> Claim:
        """Claim the next sentence's TTS task without synthesizing it."""
        return await self._claim("tts")

    async def synthesize(
        self, samples: NDArray[np.int16] | None = None, rate_hz: int = RATE_HZ, claim: Claim | None = None
    ) -> NDArray[np.int16]:
        """Commit the segment of the next sentence, or of a `claim`, and return its samples."""
        self._synthesized += 1
        samples = noise(self._synthesized) if samples is None else samples
        claim = claim or await self.claim_segment()
        index = int(claim.part or 0)
        data = wav.encode(Speech(samples, rate_hz))
        path = self._storage.write_segment(self.job_id, index, claim.token, data)
        event = SegmentEvent(index, len(samples) / rate_hz, path)
        await self._commit(claim, Outcome(part=(index, path), events=[event]))
        return samples

    async def join(self) -> bytes:
        """Commit the joined file, and return its content."""
        claim = await self._claim("tts")
        assert claim.part == "join"
        segments = [partial(self._storage.open_segment, name) for name in json.loads(claim.input)]
        with self._storage.answer_writer(self.job_id) as file:
            wav.join(segments, file)
        name = self._storage.answer_name(self.job_id)
        await self._commit(claim, Outcome({"audio_path": name, "duration_s": "1"}))
        with self._storage.open_answer(self.job_id) as answer:
            return answer.content.read()

    async def complete(self) -> bytes:
        """Commit the LLM task and the joined file, and return the file's content."""
        await self.finish_writing()
        return await self.join()

    async def fail(self) -> None:
        """Dead-letter the LLM task."""
        assert self._llm_claim
        assert (
            await self.queue.dead_letter("worker", self._llm_claim, "model_refused", "It would not.") == "dead_lettered"
        )

    async def _commit(self, claim: Claim, outcome: Outcome) -> None:
        assert await self.queue.commit("worker", claim, outcome) == "committed"
