"""The product's own worker and queue, with a handler that does nothing."""

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
    """Sends an empty input to the next stage."""

    def __init__(self, stage: Stage) -> None:
        self.info = WorkerInfo(stage, "null", "")
        self._next_stage = stage_after(SPEECH_TO_SPEECH, stage)

    async def handle(self, claim: Claim, _record_step: RecordStep) -> Outcome:
        return Outcome(next=[(task_name(self._next_stage, claim.job_id), "")] if self._next_stage else [])


class Client:
    """Submits jobs as the API does."""

    channel_pattern = "cascade:events"

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


async def _run_worker(stage: Stage, url: str) -> None:
    queue = Queue.connect(url)
    await Worker(queue, NullHandler(stage), max_attempts=5, grace_s=1).run()


if __name__ == "__main__":
    configure_logs("warning", "bench")
    uvloop.run(_run_worker(sys.argv[1], sys.argv[2]))  # type: ignore[arg-type]
