"""The product: its own worker and its own queue, with a handler that does nothing."""

import sys
from typing import Any
from uuid import uuid4

import uvloop

from shared.logs import configure_logs
from shared.queue.messages import Claim, Outcome, WorkerInfo
from shared.queue.queue import Queue
from shared.queue.stages import SPEECH_TO_SPEECH, Stage, stage_after, task_name
from shared.worker.handler import RecordStep
from shared.worker.worker import Worker


class NullHandler:
    """Passes an empty input on."""

    def __init__(self, stage: Stage) -> None:
        self.info = WorkerInfo(stage, "null", "")
        self._next = stage_after(SPEECH_TO_SPEECH, stage)

    async def handle(self, claim: Claim, _record_step: RecordStep) -> Outcome:
        return Outcome(next=[(task_name(self._next, claim.job_id), "")] if self._next else [])


class Client:
    """Accepts jobs as the API does."""

    events = "cascade:events"

    def __init__(self, url: str) -> None:
        self._queue = Queue.connect(url)

    async def submit(self) -> str:
        job = uuid4().hex
        return await self._queue.submit(
            job, {"route": SPEECH_TO_SPEECH}, [(task_name("stt", job), "")], max_live=1_000_000
        )

    def announces_end(self, channel: str, data: str, job: str) -> bool:
        return data == f"{job} completed"

    async def has_ended(self, redis: Any, job: str) -> bool:
        return bool(await redis.hget(f"cascade:job:{job}", "status") == "completed")

    async def close(self) -> None:
        await self._queue.close()


async def _run(stage: Stage, url: str) -> None:
    queue = Queue.connect(url)
    await Worker(queue, NullHandler(stage), max_attempts=5, grace_s=1).run()


if __name__ == "__main__":
    configure_logs("warning", "bench")
    uvloop.run(_run(sys.argv[1], sys.argv[2]))  # type: ignore[arg-type]
