"""A bare loop in the product's own stack, asyncio redis-py on uvloop: pop, note the status, push, and no safety. What
is popped by a worker that dies is gone, and the status and the lists may disagree."""

import sys
from typing import Any
from uuid import uuid4

import uvloop
from redis.asyncio import Redis

AFTER = {"stt": "llm", "llm": "tts", "tts": None}
BLOCK_S = 1
# No socket timeout: the client's own would cost each command about half as much again, and the product has none either.


class Client:
    prefix = "bare"

    def __init__(self, url: str) -> None:
        self.events = f"{self.prefix}:events"
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


async def _run(stage: str, url: str) -> None:
    redis: Any = Redis.from_url(url, decode_responses=True, socket_timeout=None)
    following = AFTER[stage]
    while True:
        popped = await redis.brpop(f"bare:queue:{stage}", BLOCK_S)
        if not popped:
            continue
        job = popped[1]
        if following:
            await redis.hset(f"bare:job:{job}", mapping={"status": "processing", "stage": stage})
            await redis.lpush(f"bare:queue:{following}", job)
        else:
            await redis.hset(f"bare:job:{job}", mapping={"status": "completed", "stage": stage})
            await redis.publish("bare:events", f"{job} completed")


if __name__ == "__main__":
    uvloop.run(_run(sys.argv[1], sys.argv[2]))
