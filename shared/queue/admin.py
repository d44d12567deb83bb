"""The operator's view of the queue: its state, its counters, and its dead letters."""

import json
from typing import Any, Literal

from pydantic import BaseModel, Field

from shared.queue.keys import KEYS
from shared.queue.messages import WorkerInfo
from shared.queue.queue import Queue
from shared.queue.stages import STAGES, Stage

RetryResult = Literal["retried", "gone", "not_failed", "retry_input_erased", "full"]


class StageState(BaseModel):
    """One stage's list and its workers."""

    waiting: int = Field(description="Tasks on its list.")
    oldest_s: float | None = Field(description="How long the job of the next one has been in this stage, in seconds.")
    working: int = Field(description="Tasks that its workers hold.")
    done_per_min: float = Field(description="Tasks completed a minute, over the last one or two.")
    workers: int = Field(description="Warm workers with a recent heartbeat.")


class WorkerState(BaseModel):
    """One worker."""

    name: str
    stage: Stage
    engine: str
    model: str
    working: int = Field(description="Tasks that it holds.")


class Overview(BaseModel):
    """The state of the queues."""

    stages: dict[str, StageState]
    live: int = Field(description="Jobs that have not ended.")
    delayed: int = Field(description="Tasks that wait for their next attempt.")
    dead: int = Field(description="Dead-lettered tasks.")
    workers: list[WorkerState]


class DeadTask(BaseModel):
    """A dead letter: a task that failed for good."""

    task: str
    job_id: str | None = Field(default=None, description="Null for an entry that is no task.")
    stage: str | None = None
    code: str | None = Field(default=None, description="Why its job failed.")
    message: str | None = None
    failed_at: float | None = Field(default=None, description="Seconds since the epoch.")
    attempts: int | None = Field(default=None, description="How many attempts were started.")
    input: str | None = Field(default=None, description="The output of the stage before it.")


class QueueAdmin:
    """Reads the state of the queue, and retries or purges what failed. Raises what the queue raises."""

    def __init__(self, queue: Queue) -> None:
        self._client = queue.client

    async def overview(self) -> Overview:
        """Return the state of the queues."""
        state = json.loads(await self._client.run_script("overview"))
        workers = sorted((_worker(*entry) for entry in state["workers"] or []), key=lambda worker: worker.name)
        return Overview(
            stages={stage: _stage(stage, state["stages"][stage], workers) for stage in STAGES},
            live=state["live"],
            delayed=state["delayed"],
            dead=state["dead"],
            workers=workers,
        )

    async def counts(self) -> dict[str, int]:
        """Return every counter by its name; `lua/lib/counters.lua` lists them."""
        counts = await self._client.command("hgetall", KEYS["COUNTS"])
        return {name: int(number) for name, number in counts.items() if number.isdecimal()}

    async def dead_letters(self, job_id: str | None = None, *, limit: int = 100) -> list[DeadTask]:
        """Return the dead letters, the latest first; of one job, if named."""
        letters = json.loads(await self._client.run_script("dead_letters", limit, *_optional(job_id)))
        return [_dead_task(letter) for letter in letters]

    async def retry_job(self, job_id: str, *, max_live: int) -> RetryResult:
        """Retry a failed job from where it failed, with the results of earlier stages kept, unless `max_live` jobs are
        live."""
        verdict: RetryResult = await self._client.run_script("retry_job", job_id, max_live)
        return verdict

    async def purge(self, job_id: str | None = None) -> int:
        """Drop the dead letters of one job or all, with the input that a retry would need; return how many."""
        return int(await self._client.run_script("purge", *_optional(job_id)))


def _worker(name: str, info_json: str, working: int) -> WorkerState:
    info = WorkerInfo(**json.loads(info_json))
    return WorkerState(name=name, working=working, stage=info.stage, engine=info.engine, model=info.model)


def _stage(stage: Stage, state: dict[str, Any], workers: list[WorkerState]) -> StageState:
    own = [worker for worker in workers if worker.stage == stage]
    return StageState(
        waiting=state["waiting"],
        oldest_s=state["oldest_ms"] / 1000 if "oldest_ms" in state else None,
        working=sum(worker.working for worker in own),
        done_per_min=round(state["done"] * 60_000 / state["done_in_ms"], 2),
        workers=len(own),
    )


def _optional(job_id: str | None) -> list[str]:
    """Return the script's optional argument."""
    return [] if job_id is None else [job_id]


def _dead_task(letter: dict[str, Any]) -> DeadTask:
    """Read a dead letter. Another program may have written any bytes: they are shown escaped, and a number that is none
    is left out."""
    for name, value in letter.items():
        letter[name] = value.encode(errors="surrogateescape").decode(errors="backslashreplace")
    for name in ("failed_at", "attempts"):
        if not letter.get(name, "").isdecimal():
            letter.pop(name, None)
    if "failed_at" in letter:
        letter["failed_at"] = int(letter["failed_at"]) / 1000
    return DeadTask.model_validate(letter)
