"""The model's state, and the state of the queue in Redis to compare it with."""

import asyncio
import itertools
import json
from collections import Counter
from collections.abc import Collection, Coroutine
from typing import Any, ClassVar, TypeVar

from hypothesis.stateful import RuleBasedStateMachine, multiple
from redis import Redis

from shared.queue.admin import QueueAdmin
from shared.queue.events import TextEvent
from shared.queue.keys import KEYS, MAX_CRASHES
from shared.queue.messages import Claim, Outcome, WorkerInfo
from shared.queue.queue import Queue
from shared.queue.stages import STAGES, Stage, stage_after, task_name

ResultT = TypeVar("ResultT")

WORKERS = [f"{stage}-{number}" for stage in STAGES for number in (1, 2)]


class World(RuleBasedStateMachine):
    """Callers, six workers and an operator on one Redis."""

    url: ClassVar[str]

    def __init__(self) -> None:
        super().__init__()
        self.redis = Redis.from_url(self.url, decode_responses=True)
        self.redis.flushall()
        self.runner = asyncio.Runner()
        self.queue = self.run(self._connect())
        self.admin = QueueAdmin(self.queue)
        self.numbers = itertools.count()
        self.current: dict[str, Claim] = {}  # by task, the attempt that may commit
        self.holders: dict[str, str] = {}  # by task, the worker that holds it
        self.claimed: list[Claim] = []  # every claim, old ones too
        self.purged: set[str] = set()
        self.committed: Counter[str] = Counter()
        self.steps: Counter[str] = Counter()  # by task, the steps that its latest attempt has recorded
        self.parts: dict[str, range] = {}  # by job, the numbers of the current generation's parts
        self.restarts: Counter[str] = Counter()
        self.crashes: Counter[str] = Counter()
        self.retries: Counter[str] = Counter()
        for worker in WORKERS:
            self.enlist(worker)

    def unique(self) -> str:
        """Return an id that is unique, and the same when Hypothesis replays a run."""
        return f"{next(self.numbers):032x}"

    def run(self, work: Coroutine[Any, Any, ResultT]) -> ResultT:
        return self.runner.run(work)

    async def _connect(self) -> Queue:
        return Queue.connect(self.url)

    def enlist(self, worker: str) -> None:
        self.run(self.queue.heartbeat(worker, WorkerInfo(stage_of(worker), "model", "model")))

    def status(self, job_id: str) -> str | None:
        status: str | None = self.redis.hget(KEYS["JOB"] + job_id, "status")
        return status

    def is_live(self, job_id: str) -> bool:
        return self.status(job_id) in ("pending", "processing")

    def unclaimed_held(self, worker: str) -> list[str]:
        """Return the tasks that the worker holds without an attempt."""
        held = self.redis.lrange(KEYS["HELD"] + worker, 0, -1)
        return [task for task in held if self.holders.get(task) != worker]

    def held_tasks(self) -> set[str]:
        return {task for worker in WORKERS for task in self.redis.lrange(KEYS["HELD"] + worker, 0, -1)}

    def workers_with_tasks(self) -> list[str]:
        """Return the workers in whose stage a task waits."""
        return [worker for worker in WORKERS if self.redis.llen(KEYS["QUEUE"] + stage_of(worker))]

    def workers_with_unclaimed_held(self) -> list[str]:
        return [worker for worker in WORKERS if self.unclaimed_held(worker)]

    def places(self) -> Counter[str]:
        """Return every task that is in a place, and in how many."""
        lists = [KEYS["QUEUE"] + stage for stage in STAGES] + [KEYS["HELD"] + worker for worker in WORKERS]
        with self.redis.pipeline(transaction=False) as pipe:
            for name in [*lists, KEYS["DEAD"]]:
                pipe.lrange(name, 0, -1)
            pipe.zrange(KEYS["DELAYED"], 0, -1)
            return Counter(task for tasks in pipe.execute() for task in tasks)

    def statuses(self) -> dict[str, str]:
        keys: list[str] = self.redis.keys(KEYS["JOB"] + "*")
        with self.redis.pipeline(transaction=False) as pipe:
            for key in keys:
                pipe.hget(key, "status")
            return {key.removeprefix(KEYS["JOB"]): status for key, status in zip(keys, pipe.execute(), strict=True)}

    def events(self, job_ids: Collection[str]) -> list[list[str]]:
        """Return the names of each job's events."""
        with self.redis.pipeline(transaction=False) as pipe:
            for job_id in job_ids:
                pipe.xrange(KEYS["EVENTS"] + job_id)
            return [[entry["event"] for _, entry in entries] for entries in pipe.execute()]

    def tasks(self) -> dict[str, dict[str, str]]:
        """Return the tasks hash of each job that has one."""
        keys: list[str] = self.redis.keys(KEYS["TASKS"] + "*")
        with self.redis.pipeline(transaction=False) as pipe:
            for key in keys:
                pipe.hgetall(key)
            return {key.removeprefix(KEYS["TASKS"]): fields for key, fields in zip(keys, pipe.execute(), strict=True)}

    def open_tasks(self) -> dict[str, list[str]]:
        """Return each job's open tasks."""
        return {
            job_id: [field.removeprefix("input:") for field in fields if field.startswith("input:")]
            for job_id, fields in self.tasks().items()
        }

    def failed(self) -> list[str]:
        return sorted(job_id for job_id, status in self.statuses().items() if status == "failed")

    def llm_claims(self) -> list[Claim]:
        """Return the current attempts that may record a step."""
        return [claim for claim in self.current.values() if stage_of(claim.task) == "llm"]

    def superseded(self) -> list[Claim]:
        """Return the old claims whose task has a newer attempt."""
        return [claim for claim in self.claimed if self.current.get(claim.task) not in (None, claim)]

    def is_current(self, claim: Claim) -> bool:
        return self.current.get(claim.task) is claim

    def expected_verdict(self, claim: Claim, success: str) -> str:
        if not self.is_current(claim):
            return "stale"
        return success if self.is_live(claim.job_id) else "job_ended"

    def note_end(self, claim: Claim, verdict: str) -> None:
        """Note that the attempt has ended, unless it was stale."""
        if verdict != "stale":
            del self.current[claim.task], self.holders[claim.task]

    def note_attempt(self, worker: str, claim: Claim | None, task: str | None) -> Any:
        """Note an attempt at `task`. Without one, the task must have been discarded, or its job must have ended."""
        if claim is None:
            assert task is None or not self.is_live(job_of(task)) or self.is_discarded(task), f"no attempt at {task}"
            return multiple()
        assert claim.task == task
        self.note_discard(claim.task)
        if claim.part == "join":
            assert json.loads(claim.input) == [f"{index}.wav" for index in self.parts[claim.job_id]]
        self.crashes[claim.task] += 1
        assert self.crashes[claim.task] <= MAX_CRASHES, "a task that crashes too often is dead-lettered"
        assert self.committed[claim.task] == 0, "a committed task has no further attempt"
        self.current[claim.task], self.holders[claim.task] = claim, worker
        self.claimed.append(claim)
        return claim

    def note_parts(self, job_id: str, count: int) -> None:
        """Note `count` new parts of a job."""
        parts = self.parts.get(job_id, range(0))
        self.parts[job_id] = range(parts.start, parts.stop + count)

    def note_discard(self, task: str) -> None:
        """Note that the parts of a task's latest attempt are discarded, if it had recorded any step."""
        if self.steps.pop(task, 0):
            self.restarts[job_of(task)] += 1
            stop = self.parts.get(job_of(task), range(0)).stop
            self.parts[job_of(task)] = range(stop, stop)
            places = self.places()
            for part in [part for part in self.current if is_part(part) and job_of(part) == job_of(task)]:
                assert not places[part], "its worker must learn from its heartbeat that it lost the task"
                del self.current[part], self.holders[part]

    def is_discarded(self, task: str) -> bool:
        return is_part(task) and int(task.rpartition(":")[2]) < self.parts[job_of(task)].start

    def drop_claims(self, job_id: str, *, keep_holder: bool = False) -> None:
        for task in [task for task in self.current if job_of(task) == job_id]:
            del self.current[task]
            if not keep_holder:
                del self.holders[task]

    def drop_held(self, worker: str) -> None:
        for task in [task for task, holder in self.holders.items() if holder == worker]:
            del self.holders[task]
            self.current.pop(task, None)


def pick(among: Collection[ResultT], which: int) -> ResultT:
    return list(among)[which % len(among)]


def stage_of(name: str) -> Stage:
    """Return the stage of a worker or a task, or the first one of a route."""
    return name[:3]  # type: ignore[return-value]


def job_of(task: str) -> str:
    return task.split(":")[1]


def is_part(task: str) -> bool:
    return task.rpartition(":")[2].isdecimal() and task.count(":") == 2


def outcome(claim: Claim, segments: int) -> Outcome:
    """Return an outcome of the claim's stage, to commit or to record as a step."""
    stage = stage_of(claim.task)
    follows = stage_after(claim.fields["route"], stage)
    if claim.part == "join":
        return Outcome({"audio_path": "whole.wav"})
    if claim.part is not None:
        return Outcome(part=(int(claim.part), f"{claim.part}.wav"))
    if "tts" in (stage, follows):
        return Outcome({"response": "text"}, parts=("tts", ["text"] * segments), events=[TextEvent("text")])
    return Outcome({"transcript": "text"}, [(task_name(follows, claim.job_id), "")] if follows else [])
