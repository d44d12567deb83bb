"""A bare loop in the product's own stack, asyncio redis-py on uvloop: pop, write the status, push, without any safety.
A job that a worker has popped is lost if it dies, and the status and the lists may disagree."""

import sys
from typing import Any
from uuid import uuid4

import uvloop
from redis.asyncio import Redis

NEXT_STAGE = {"stt": "llm", "llm": "tts", "tts": None}
POP_TIMEOUT_S = 1
# No socket timeout: it makes each command cost about half as much again, and the product sets none either.


class Client:
    prefix = "bare"

    def __init__(self, url: str) -> None:
        self.channel_pattern = f"{self.prefix}:events"
        self._redis: Any = Redis.from_url(url, decode_responses=True, socket_timeout=None)

    async def submit(self) -> str:
        job = uuid4().hex
        await self._redis.hset(f"{self.prefix}:job:{job}", mapping={"job_id": job, "status": "pending"})
        await self._redis.lpush(f"{self.prefix}:queue:stt", job)
        return job

    def announces_end(self, channel: str, data: str, job: str) -> bool:
        return data == f"{job} completed"

    async def has_ended(self, redis: Any, job: str) -> bool:
        return bool(await redis.hget(f"{self.prefix}:job:{job}", "status") == "completed")

    async def close(self) -> None:
        await self._redis.aclose()


async def _run_worker(stage: str, url: str) -> None:
    redis: Any = Redis.from_url(url, decode_responses=True, socket_timeout=None)
    next_stage = NEXT_STAGE[stage]
    while True:
        popped = await redis.brpop(f"bare:queue:{stage}", POP_TIMEOUT_S)
        if not popped:
            continue
        job = popped[1]
        if next_stage:
            await redis.hset(f"bare:job:{job}", mapping={"status": "processing", "stage": stage})
            await redis.lpush(f"bare:queue:{next_stage}", job)
        else:
            await redis.hset(f"bare:job:{job}", mapping={"status": "completed", "stage": stage})
            await redis.publish("bare:events", f"{job} completed")


if __name__ == "__main__":
    uvloop.run(_run_worker(sys.argv[1], sys.argv[2]))
