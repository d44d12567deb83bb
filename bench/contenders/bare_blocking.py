"""The bare loop with the blocking client, the least that Python can do; such a worker can do nothing else meanwhile."""

import sys
from typing import Any

from redis import Redis

from bench.contenders import bare_asyncio as bare
from bench.contenders.bare_asyncio import AFTER, BLOCK_S


class Client(bare.Client):
    prefix = "bare_sync"


def _run(stage: str, url: str) -> None:
    redis: Any = Redis.from_url(url, decode_responses=True)
    following = AFTER[stage]
    while True:
        popped = redis.brpop(f"bare_sync:queue:{stage}", BLOCK_S)
        if not popped:
            continue
        job = popped[1]
        if following:
            redis.hset(f"bare_sync:job:{job}", mapping={"status": "processing", "stage": stage})
            redis.lpush(f"bare_sync:queue:{following}", job)
        else:
            redis.hset(f"bare_sync:job:{job}", mapping={"status": "completed", "stage": stage})
            redis.publish("bare_sync:events", f"{job} completed")


if __name__ == "__main__":
    _run(sys.argv[1], sys.argv[2])
