"""The bare loop with the blocking client, the minimum in Python; such a worker can do nothing else while it waits."""

import sys
from typing import Any

from redis import Redis

from bench.contenders import bare_asyncio
from bench.contenders.bare_asyncio import NEXT_STAGE, POP_TIMEOUT_S


class Client(bare_asyncio.Client):
    prefix = "bare_sync"


def _run_worker(stage: str, url: str) -> None:
    redis: Any = Redis.from_url(url, decode_responses=True)
    next_stage = NEXT_STAGE[stage]
    while True:
        popped = redis.brpop(f"bare_sync:queue:{stage}", POP_TIMEOUT_S)
        if not popped:
            continue
        job = popped[1]
        if next_stage:
            redis.hset(f"bare_sync:job:{job}", mapping={"status": "processing", "stage": stage})
            redis.lpush(f"bare_sync:queue:{next_stage}", job)
        else:
            redis.hset(f"bare_sync:job:{job}", mapping={"status": "completed", "stage": stage})
            redis.publish("bare_sync:events", f"{job} completed")


if __name__ == "__main__":
    _run_worker(sys.argv[1], sys.argv[2])
