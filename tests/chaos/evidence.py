"""What is to be seen of a run when it is over: over HTTP, on the volume, in the events, and behind the queue's back."""

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from redis.asyncio import Redis

from api.jobs.cleanup import remove_strays
from chaos.load import Call, Load
from chaos.orders import Order
from chaos.stack import Stack
from shared.queue.keys import KEYS
from shared.storage.local import LocalStorage

_READERS = 16


@dataclass
class Evidence:
    """All that the checker looks at."""

    calls: list[Call] = field(default_factory=list)
    orders: dict[int, Order] = field(default_factory=dict)
    statuses: dict[str, dict[str, Any]] = field(default_factory=dict)
    events: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    audio: dict[str, bytes | None] = field(default_factory=dict)
    known: set[str] = field(default_factory=set)
    """Jobs that Redis knows."""
    tasks: dict[str, list[str]] = field(default_factory=dict)
    """By place, the tasks that lie there."""
    open: set[str] = field(default_factory=set)
    """Jobs of which some task has not been done."""
    files: list[str] = field(default_factory=list)
    partial: list[str] = field(default_factory=list)
    deaths: list[str] = field(default_factory=list)
    """Processes that ended by themselves, and those that did not end."""
    wrong_answers: list[str] = field(default_factory=list)
    """To uploads that had to be refused."""

    @property
    def accepted(self) -> list[Call]:
        return [call for call in self.calls if call.job_ids]


async def gather(stack: Stack, load: Load, orders: dict[int, Order]) -> Evidence:
    """Look, after the housekeeping that would be done an hour later."""
    storage = LocalStorage(stack.disk.path)
    await remove_strays(stack.queue, storage, older_than_s=0)
    seen = Evidence(calls=load.calls, orders=orders)
    readers = asyncio.Semaphore(_READERS)

    async def read(call: Call) -> None:
        async with readers:
            for job_id in call.job_ids:
                seen.statuses[job_id] = await load.status(job_id)
                seen.events[job_id] = await stack.queue.events(job_id)
                seen.audio[job_id] = await load.audio(job_id)

    await asyncio.gather(*(read(call) for call in load.calls))
    async with Redis.from_url(stack.redis.url, decode_responses=True) as redis:
        seen.known = set(await _names(redis, "JOB"))
        seen.open = set(await _names(redis, "TASKS"))
        seen.tasks = await tasks_in_places(redis)
    volume = stack.disk.path
    found = sorted(path.relative_to(volume).as_posix() for path in volume.rglob("*") if path.is_file())
    seen.partial = [name for name in found if Path(name).name.startswith(".")]
    seen.files = [
        name for name in found if name.startswith(("input/", "work/", "output/")) and name not in seen.partial
    ]
    return seen


async def tasks_in_places(redis: Redis) -> dict[str, list[str]]:
    """By place, the tasks that lie there; no empty place."""
    places: dict[str, list[Any]] = {}
    for list_of in ("QUEUE", "HELD"):
        for name in await _names(redis, list_of):
            places[KEYS[list_of] + name] = await redis.lrange(KEYS[list_of] + name, 0, -1)
    places["dead"] = await redis.lrange(KEYS["DEAD"], 0, -1)
    places["delayed"] = await redis.zrange(KEYS["DELAYED"], 0, -1)
    places["live"] = await redis.zrange(KEYS["LIVE"], 0, -1)
    return {place: tasks for place, tasks in places.items() if tasks}


async def _names(redis: Redis, kind: str) -> list[str]:
    return [key.removeprefix(KEYS[kind]) async for key in redis.scan_iter(KEYS[kind] + "*", count=1000)]
