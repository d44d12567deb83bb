"""Words for tests that drive the queue by hand."""

from uuid import uuid4

import pytest
from redis import Redis

from shared.queue.keys import KEYS
from shared.queue.messages import Claim, Outcome, WorkerInfo
from shared.queue.queue import Queue
from shared.queue.stages import SPEECH_TO_SPEECH, Stage, task_name


class Driver:
    """Submits, claims and commits as the API and the workers do."""

    def __init__(self, queue: Queue, redis: Redis) -> None:
        self.queue, self.redis = queue, redis

    async def submit(self, *, job_id: str = "", route: str = SPEECH_TO_SPEECH, **options: object) -> str:
        job_id = job_id or uuid4().hex
        fields = {"route": route, "transcript": "secret words"}
        made = await self.queue.submit(job_id, fields, [(task_name("stt", job_id), "")], **{"max_live": 1000} | options)
        assert made == job_id
        return job_id

    async def enlist(self, worker: str, stage: Stage = "stt") -> None:
        await self.queue.heartbeat(worker, WorkerInfo(stage, "fake", "fake"))

    async def claim(self, worker: str, stage: Stage = "stt") -> Claim:
        await self.enlist(worker, stage)
        claim = await self.queue.claim(worker, stage, uuid4().hex)
        assert isinstance(claim, Claim)
        return claim

    async def reach_llm(self, **options: str) -> tuple[str, Claim]:
        """A job whose answer `llm-1` has begun to write."""
        job_id = await self.submit(**options)
        stt = await self.claim("stt-1")
        await self.queue.commit("stt-1", stt, Outcome({"transcript": "hi"}, [(task_name("llm", job_id), "")]))
        return job_id, await self.claim("llm-1", "llm")

    async def reach_tts(self, segments: int = 3) -> str:
        """A job whose answer waits as so many segments."""
        job_id, llm = await self.reach_llm()
        outcome = Outcome({"response": "there"}, parts=("tts", [f"text {n}" for n in range(segments)]))
        assert await self.queue.commit("llm-1", llm, outcome) == "committed"
        return job_id

    def hold(self, worker: str, stage: Stage = "stt") -> str | None:
        """Put a task into the worker's hands, as if the reply that told it had been lost."""
        moved: str | None = self.redis.lmove(KEYS["QUEUE"] + stage, KEYS["HELD"] + worker, "RIGHT", "LEFT")
        return moved

    def let_die(self, worker: str) -> None:
        """Make the worker's heartbeat run out, as if its process had been gone for long."""
        self.redis.zadd(KEYS["WORKERS"], {worker: 1})

    def places(self) -> dict[str, list[str]]:
        """Every place where a task can be, with what is there."""
        lists = [*self.redis.scan_iter(KEYS["QUEUE"] + "*"), *self.redis.scan_iter(KEYS["HELD"] + "*"), KEYS["DEAD"]]
        places = {name: self.redis.lrange(name, 0, -1) for name in lists}
        places[KEYS["DELAYED"]] = self.redis.zrange(KEYS["DELAYED"], 0, -1)
        return {name: tasks for name, tasks in places.items() if tasks}

    def everywhere(self) -> list[str]:
        return sorted(task for tasks in self.places().values() for task in tasks)

    def open_tasks(self) -> list[str]:
        """Every task that some job's hash says is not done."""
        fields = [field for key in self.redis.scan_iter(KEYS["TASKS"] + "*") for field in self.redis.hkeys(key)]
        return sorted(field.removeprefix("input:") for field in fields if field.startswith("input:"))


@pytest.fixture
def driver(queue: Queue, redis: Redis) -> Driver:
    return Driver(queue, redis)
