"""A driver for tests that take the part of the API and the workers."""

from uuid import uuid4

import pytest
from redis import Redis

from shared.queue.conversations import Conversations
from shared.queue.keys import KEYS
from shared.queue.messages import Claim, Outcome, WorkerInfo
from shared.queue.queue import Queue
from shared.queue.stages import SPEECH_TO_SPEECH, TEXT_TO_SPEECH, Stage, first_task, task_name


class Driver:
    """Submits, claims and commits as the API and the workers do."""

    def __init__(self, queue: Queue, redis: Redis) -> None:
        self.queue, self.redis = queue, redis

    async def submit(self, *, job_id: str = "", route: str = SPEECH_TO_SPEECH, **options: object) -> str:
        job_id = job_id or uuid4().hex
        fields = {"route": route, "transcript": "secret words"}
        accepted = await self.queue.submit(
            job_id, fields, [(task_name("stt", job_id), "")], **{"max_live": 1000} | options
        )
        assert accepted == job_id
        return job_id

    async def enlist(self, worker: str, stage: Stage = "stt") -> None:
        await self.queue.heartbeat(worker, WorkerInfo(stage, "fake", "fake"))

    async def claim(self, worker: str, stage: Stage = "stt") -> Claim:
        await self.enlist(worker, stage)
        claim = await self.queue.claim(worker, stage, uuid4().hex)
        assert isinstance(claim, Claim)
        return claim

    async def reach_llm(self, **options: str) -> tuple[str, Claim]:
        """Submit a job and start its LLM task as worker `llm-1`."""
        job_id = await self.submit(**options)
        stt = await self.claim("stt-1")
        await self.queue.commit("stt-1", stt, Outcome({"transcript": "hi"}, [(task_name("llm", job_id), "")]))
        return job_id, await self.claim("llm-1", "llm")

    async def reach_tts(self, segments: int = 3) -> str:
        """Submit a job and bring it to the point where its segments wait for the TTS stage."""
        job_id, llm = await self.reach_llm()
        outcome = Outcome({"response": "there"}, parts=("tts", [f"text {n}" for n in range(segments)]))
        assert await self.queue.commit("llm-1", llm, outcome) == "committed"
        return job_id

    def hold(self, worker: str, stage: Stage = "stt") -> str | None:
        """Move a task to the worker's held list without an attempt, as when the reply of its claim was lost."""
        task: str | None = self.redis.lmove(KEYS["QUEUE"] + stage, KEYS["HELD"] + worker, "RIGHT", "LEFT")
        return task

    def expire_lease(self, worker: str) -> None:
        """Let the worker's lease run out, as if its process had died."""
        self.redis.zadd(KEYS["WORKERS"], {worker: 1})

    def places(self) -> dict[str, list[str]]:
        """Return every place that holds tasks, with its tasks."""
        lists = [*self.redis.scan_iter(KEYS["QUEUE"] + "*"), *self.redis.scan_iter(KEYS["HELD"] + "*"), KEYS["DEAD"]]
        places = {name: self.redis.lrange(name, 0, -1) for name in lists}
        places[KEYS["DELAYED"]] = self.redis.zrange(KEYS["DELAYED"], 0, -1)
        return {name: tasks for name, tasks in places.items() if tasks}

    def placed_tasks(self) -> list[str]:
        """Return the tasks of all places, a task as often as it is in one."""
        return sorted(task for tasks in self.places().values() for task in tasks)

    def open_tasks(self) -> list[str]:
        """Return every task that a job still needs done."""
        fields = [field for key in self.redis.scan_iter(KEYS["TASKS"] + "*") for field in self.redis.hkeys(key)]
        return sorted(field.removeprefix("input:") for field in fields if field.startswith("input:"))


@pytest.fixture
def driver(queue: Queue, redis: Redis) -> Driver:
    return Driver(queue, redis)


@pytest.fixture
def conversations(queue):
    return Conversations(queue)


@pytest.fixture
def ask(queue):
    """Return a function that submits a written question, or a job on another route."""

    async def ask(text="", route=TEXT_TO_SPEECH, name="kitchen", job_id="", **fields):
        job_id = job_id or uuid4().hex
        fields |= {"route": route} | ({"transcript": text} if text else {})
        accepted = await queue.submit(job_id, fields, [first_task(route, job_id)], max_live=1000, conversation_id=name)
        assert accepted == job_id
        return job_id

    return ask


@pytest.fixture
def answer(driver, queue):
    """Return a function that commits an LLM claim as an answer of one segment."""

    async def answer(text, claim=None, worker="llm-1"):
        claim = claim or await driver.claim(worker, "llm")
        outcome = Outcome({"response": text}, parts=("tts", [text]))
        return claim, await queue.commit(worker, claim, outcome)

    return answer
