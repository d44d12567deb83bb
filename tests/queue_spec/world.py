"""What the machine believes of the queue, and what Redis holds."""

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
ENDED = {"completed", "failed", "cancelled"}


class World(RuleBasedStateMachine):
    """Callers, six workers, and those who look after them, on one Redis."""

    url: ClassVar[str]

    def __init__(self) -> None:
        super().__init__()
        self.redis = Redis.from_url(self.url, decode_responses=True)
        self.redis.flushall()
        self.runner = asyncio.Runner()
        self.queue = self.run(self._connect())
        self.operations = QueueAdmin(self.queue)
        self.numbers = itertools.count()
        self.in_force: dict[str, Claim] = {}  # by task, the attempt that may commit
        self.holder: dict[str, str] = {}  # by task, the worker in whose hands it is
        self.old: list[Claim] = []
        self.purged: set[str] = set()
        self.committed: Counter[str] = Counter()
        self.steps: Counter[str] = Counter()  # by task, what its latest attempt has recorded
        self.parts: dict[str, range] = {}  # by job, the numbers of the generation's parts
        self.restarts: Counter[str] = Counter()
        self.crashes: Counter[str] = Counter()
        self.revivals: Counter[str] = Counter()
        for worker in WORKERS:
            self.enlist(worker)

    def unique(self) -> str:
        """What a random id would be, and yet the same each time that the machine replays a run."""
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

    def astray(self, worker: str) -> list[str]:
        held = self.redis.lrange(KEYS["HELD"] + worker, 0, -1)
        return [task for task in held if self.holder.get(task) != worker]

    def in_hands(self) -> set[str]:
        return {task for worker in WORKERS for task in self.redis.lrange(KEYS["HELD"] + worker, 0, -1)}

    def with_work(self) -> list[str]:
        """Workers in whose stage something waits."""
        return [worker for worker in WORKERS if self.redis.llen(KEYS["QUEUE"] + stage_of(worker))]

    def with_astray(self) -> list[str]:
        return [worker for worker in WORKERS if self.astray(worker)]

    def places(self) -> Counter[str]:
        """Every task that is anywhere, and in how many places."""
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
        """The names of what happened to each."""
        with self.redis.pipeline(transaction=False) as pipe:
            for job_id in job_ids:
                pipe.xrange(KEYS["EVENTS"] + job_id)
            return [[entry["event"] for _, entry in entries] for entries in pipe.execute()]

    def tasks(self) -> dict[str, dict[str, str]]:
        """By job, what its tasks need; nothing of a job that needs nothing."""
        keys: list[str] = self.redis.keys(KEYS["TASKS"] + "*")
        with self.redis.pipeline(transaction=False) as pipe:
            for key in keys:
                pipe.hgetall(key)
            return {key.removeprefix(KEYS["TASKS"]): fields for key, fields in zip(keys, pipe.execute(), strict=True)}

    def open_tasks(self) -> dict[str, list[str]]:
        """By job, its tasks that are not done."""
        return {
            job_id: [field.removeprefix("input:") for field in fields if field.startswith("input:")]
            for job_id, fields in self.tasks().items()
        }

    def failed(self) -> list[str]:
        return sorted(job_id for job_id, status in self.statuses().items() if status == "failed")

    def makers(self) -> list[Claim]:
        """Attempts that may record a step."""
        return [claim for claim in self.in_force.values() if stage_of(claim.task) == "llm"]

    def outdated(self) -> list[Claim]:
        return [claim for claim in self.old if self.in_force.get(claim.task) not in (None, claim)]

    def is_in_force(self, claim: Claim) -> bool:
        return self.in_force.get(claim.task) is claim

    def verdict(self, claim: Claim, success: str) -> str:
        if not self.is_in_force(claim):
            return "stale"
        return success if self.is_live(claim.job_id) else "over"

    def settled(self, claim: Claim, verdict: str) -> None:
        if verdict != "stale":
            del self.in_force[claim.task], self.holder[claim.task]

    def begun(self, worker: str, claim: Claim | None, task: str | None) -> Any:
        """Note an attempt at `task`. Where none was begun, it was taken back, or its job over: it may have killed too
        many."""
        if claim is None:
            assert task is None or not self.is_live(job_of(task)) or self.is_taken_back(task), f"{task} was not begun"
            return multiple()
        assert claim.task == task
        self.retracted(claim.task)
        if claim.part == "join":
            assert json.loads(claim.input) == [f"{index}.wav" for index in self.parts[claim.job_id]]
        self.crashes[claim.task] += 1
        assert self.crashes[claim.task] <= MAX_CRASHES, "poison is set aside"
        assert self.committed[claim.task] == 0, "what is done is not begun again"
        self.in_force[claim.task], self.holder[claim.task] = claim, worker
        self.old.append(claim)
        return claim

    def pushed(self, job_id: str, count: int) -> None:
        """Note so many more parts."""
        known = self.parts.get(job_id, range(0))
        self.parts[job_id] = range(known.start, known.stop + count)

    def retracted(self, task: str) -> None:
        """Note that what an attempt had recorded step by step is taken back, if it had."""
        if self.steps.pop(task, 0):
            self.restarts[job_of(task)] += 1
            stop = self.parts.get(job_of(task), range(0)).stop
            self.parts[job_of(task)] = range(stop, stop)
            places = self.places()
            for part in [part for part in self.in_force if is_part(part) and job_of(part) == job_of(task)]:
                assert not places[part], "whoever works on it hears of it by holding it no more"
                del self.in_force[part], self.holder[part]

    def is_taken_back(self, task: str) -> bool:
        return is_part(task) and int(task.rpartition(":")[2]) < self.parts[job_of(task)].start

    def let_go_of_job(self, job_id: str, *, keep_holder: bool = False) -> None:
        for task in [task for task in self.in_force if job_of(task) == job_id]:
            del self.in_force[task]
            if not keep_holder:
                del self.holder[task]

    def lose_hold(self, worker: str) -> None:
        for task in [task for task, holder in self.holder.items() if holder == worker]:
            del self.holder[task]
            self.in_force.pop(task, None)


def pick(among: Collection[ResultT], which: int) -> ResultT:
    return list(among)[which % len(among)]


def stage_of(name: str) -> Stage:
    """Of a worker or a task; of a route, the first."""
    return name[:3]  # type: ignore[return-value]


def job_of(task: str) -> str:
    return task.split(":")[1]


def is_part(task: str) -> bool:
    return task.rpartition(":")[2].isdecimal() and task.count(":") == 2


def outcome(claim: Claim, segments: int) -> Outcome:
    """What a worker of the claim's stage would commit, or record as a step."""
    stage = stage_of(claim.task)
    follows = stage_after(claim.fields["route"], stage)
    if claim.part == "join":
        return Outcome({"audio_path": "whole.wav"})
    if claim.part is not None:
        return Outcome(part=(int(claim.part), f"{claim.part}.wav"))
    if "tts" in (stage, follows):
        return Outcome({"response": "text"}, parts=("tts", ["text"] * segments), events=[TextEvent("text")])
    return Outcome({"transcript": "text"}, [(task_name(follows, claim.job_id), "")] if follows else [])
