"""An answer that is made piece by piece, by workers who do what the test says."""

import json
from collections.abc import Awaitable, Callable

import numpy as np
from numpy.typing import NDArray

from shared.queue.messages import Claim, Outcome
from shared.queue.queue import Queue
from shared.queue.stages import Stage, task_name
from shared.storage.local import Storage
from tts_worker import wav
from tts_worker.engine import Speech

RATE_HZ = 16_000


def noise(seed: int, seconds: float = 0.5, rate_hz: int = RATE_HZ) -> NDArray[np.int16]:
    """Sound that is like no other."""
    samples = np.random.default_rng(seed).integers(-9_000, 9_000, round(seconds * rate_hz))
    return samples.astype(np.int16)


class GrowingAnswer:
    """The only job of its queue, which has been uploaded."""

    def __init__(self, job_id: str, queue: Queue, storage: Storage, claim: Callable[[Stage], Awaitable[Claim]]) -> None:
        self.job_id, self.queue = job_id, queue
        self._storage, self._claim = storage, claim
        self._llm: Claim | None = None
        self._step = self._spoken = 0

    async def transcribe(self) -> None:
        claimed = await self._claim("stt")
        following = [(task_name("llm", self.job_id), "")]
        await self._commit(claimed, Outcome({"transcript": "Why?", "language": "en"}, following))

    async def write(self, *sentences: str) -> None:
        """As the language model's worker does as it goes."""
        if self._llm is None:
            self._llm = await self._claim("llm")
            self._step = 0
        events = [("text", {"text": " ".join(sentences)})]
        outcome = Outcome({"response": "…"}, parts=("tts", sentences), events=events, steps=self._step)
        assert await self.queue.commit_partial("worker", self._llm, outcome) == "extended"
        self._step += 1

    async def stop_writing(self) -> None:
        assert self._llm
        await self._commit(self._llm, Outcome({"response": "…"}, parts=("tts", []), steps=self._step))

    async def write_anew(self) -> None:
        """Another attempt takes the place of the one that writes."""
        assert self._llm
        assert await self.queue.reschedule("worker", self._llm, 0, "model_failed", crashed=False) == "delayed"
        assert await self.queue.promote() == 1
        self._llm = None

    async def hold(self) -> Claim:
        """Begin to speak the next sentence."""
        return await self._claim("tts")

    async def speak(
        self, samples: NDArray[np.int16] | None = None, rate_hz: int = RATE_HZ, held: Claim | None = None
    ) -> NDArray[np.int16]:
        """The next sentence, or one that somebody holds; what was said."""
        self._spoken += 1
        samples = noise(self._spoken) if samples is None else samples
        claimed = held or await self.hold()
        index = int(claimed.part or 0)
        data = wav.encode(Speech(samples, rate_hz))
        path = self._storage.write_segment(self.job_id, index, claimed.token, data)
        event = {"index": index, "duration_s": len(samples) / rate_hz, "path": path}
        await self._commit(claimed, Outcome(part=(index, path), events=[("segment", event)]))
        return samples

    async def join(self) -> bytes:
        """The whole file."""
        claimed = await self._claim("tts")
        assert claimed.part == "join"
        path = self._storage.output_path(self.job_id)
        with self._storage.writing(path) as file:
            wav.join([self._storage.absolute(name) for name in json.loads(claimed.input)], file)
        await self._commit(claimed, Outcome({"audio_path": self._storage.relative(path), "duration_s": "1"}))
        return path.read_bytes()

    async def fail(self) -> None:
        assert self._llm
        assert await self.queue.dead_letter("worker", self._llm, "model_refused", "It would not.") == "buried"

    async def _commit(self, claimed: Claim, outcome: Outcome) -> None:
        assert await self.queue.commit("worker", claimed, outcome) == "committed"
