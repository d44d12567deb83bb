"""What whoever runs the system sees and does: how the queues stand, and the tasks that were set aside."""

import json
from typing import Any, Literal

from pydantic import BaseModel, Field

from shared.queue.keys import KEYS
from shared.queue.messages import WorkerInfo
from shared.queue.queue import Queue
from shared.queue.stages import STAGES, Stage

RetryResult = Literal["revived", "gone", "not_failed", "retry_input_erased", "full"]


class StageState(BaseModel):
    """One stage's list, and those who work on it."""

    waiting: int = Field(description="Tasks on its list.")
    oldest_s: float | None = Field(description="For how long the job of the next one has been in this stage.")
    working: int = Field(description="Tasks in its workers' hands.")
    done_per_min: float = Field(description="Tasks that were done in each minute, over the last one or two.")
    workers: int = Field(description="Warm workers that beat.")


class WorkerState(BaseModel):
    """One worker."""

    name: str
    stage: Stage
    engine: str
    model: str
    working: int = Field(description="Tasks in its hands.")


class Overview(BaseModel):
    """How the queues stand."""

    stages: dict[str, StageState]
    live: int = Field(description="Jobs that have not ended.")
    delayed: int = Field(description="Tasks that wait to be tried again.")
    dead: int = Field(description="Tasks that were set aside.")
    workers: list[WorkerState]


class DeadTask(BaseModel):
    """A task that was set aside: trying it again as it was could not help."""

    task: str
    job_id: str | None = Field(default=None, description="Null for what was no task of ours.")
    stage: str | None = None
    code: str | None = Field(default=None, description="Why its job failed.")
    message: str | None = None
    failed_at: float | None = Field(default=None, description="Seconds since the epoch.")
    attempts: int | None = Field(default=None, description="How often it was begun.")
    input: str | None = Field(default=None, description="What the stage before it handed over.")


class QueueAdmin:
    """The queue's other face. Raises what the queue raises."""

    def __init__(self, queue: Queue) -> None:
        self._redis = queue.redis

    async def overview(self) -> Overview:
        """How the queues stand."""
        told = json.loads(await self._redis.run("overview"))
        workers = [
            WorkerState(name=name, working=working, stage=info.stage, engine=info.engine, model=info.model)
            for name, info, working in ((n, WorkerInfo(**json.loads(i)), w) for n, i, w in told["workers"] or [])
        ]
        stages = {}
        for stage in STAGES:
            state, here = told["stages"][stage], [worker for worker in workers if worker.stage == stage]
            stages[stage] = StageState(
                waiting=state["waiting"],
                oldest_s=state["oldest_ms"] / 1000 if "oldest_ms" in state else None,
                working=sum(worker.working for worker in here),
                done_per_min=round(state["done"] * 60_000 / state["done_in_ms"], 2),
                workers=len(here),
            )
        counts = {name: told[name] for name in ("live", "delayed", "dead")}
        return Overview(stages=stages, workers=sorted(workers, key=lambda worker: worker.name), **counts)

    async def counts(self) -> dict[str, int]:
        """What has happened, and how often: by the names that `lua/counts.lua` lists, and any others that are there."""
        counted = await self._redis.ask("hgetall", KEYS["COUNTS"])
        return {name: int(number) for name, number in counted.items() if number.isdecimal()}

    async def dead_letters(self, job_id: str | None = None, *, limit: int = 100) -> list[DeadTask]:
        """What was set aside, the latest first; of one job, if named."""
        letters = json.loads(await self._redis.run("dead_letters", limit, *_given(job_id)))
        return [_dead_task(letter) for letter in letters]

    async def retry_job(self, job_id: str, *, max_live: int) -> RetryResult:
        """Try a failed job again from where it failed, with what earlier stages made kept, unless `max_live` jobs have
        not ended yet."""
        verdict: RetryResult = await self._redis.run("retry_job", job_id, max_live)
        return verdict

    async def purge(self, job_id: str | None = None) -> int:
        """Drop what was set aside, of one job or all, with the input that it would need; how many tasks."""
        return int(await self._redis.run("purge", *_given(job_id)))


def _given(job_id: str | None) -> list[str]:
    return [] if job_id is None else [job_id]


def _dead_task(letter: dict[str, Any]) -> DeadTask:
    """Somebody else may have written any bytes: they are shown, escaped, and a number that is none is left out."""
    for name, value in letter.items():
        letter[name] = value.encode(errors="surrogateescape").decode(errors="backslashreplace")
    for name in ("failed_at", "attempts"):
        if not letter.get(name, "").isdecimal():
            letter.pop(name, None)
    if "failed_at" in letter:
        letter["failed_at"] = int(letter["failed_at"]) / 1000
    return DeadTask.model_validate(letter)
