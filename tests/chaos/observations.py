"""The state at the end of a run, as seen over HTTP, on the volume, in the events, and in Redis."""

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from redis.asyncio import Redis

from api.jobs.cleanup import remove_strays
from chaos.load import LoadGenerator, Upload
from chaos.misbehaviors import Misbehavior
from chaos.stack import Stack
from shared.queue.keys import KEYS
from shared.storage.local import LocalStorage

_CONCURRENT_READS = 16


@dataclass
class Observations:
    """The input of the check."""

    uploads: list[Upload] = field(default_factory=list)
    misbehaviors: dict[int, Misbehavior] = field(default_factory=dict)
    """By number of the recording."""
    statuses: dict[str, dict[str, Any]] = field(default_factory=dict)
    events: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    audio: dict[str, bytes | None] = field(default_factory=dict)
    job_ids: set[str] = field(default_factory=set)
    """Jobs of which Redis has a hash."""
    tasks: dict[str, list[str]] = field(default_factory=dict)
    """The tasks in each list or set of the queue."""
    unfinished: set[str] = field(default_factory=set)
    """Jobs with a task that is not done."""
    files: list[str] = field(default_factory=list)
    partial_files: list[str] = field(default_factory=list)
    process_failures: list[str] = field(default_factory=list)
    """Processes that exited although the campaign had not stopped them, and those that outlived the stack."""
    wrong_refusals: list[str] = field(default_factory=list)
    """Wrong responses to uploads that had to be refused."""

    @property
    def accepted(self) -> list[Upload]:
        return [upload for upload in self.uploads if upload.job_ids]

    def error_code(self, upload: Upload) -> str | None:
        """The error code of the upload's job; None unless the job failed."""
        error = self.statuses[upload.job_id].get("error") or {}
        code: str | None = error.get("code")
        return code


async def collect(stack: Stack, load: LoadGenerator, misbehaviors: dict[int, Misbehavior]) -> Observations:
    """Collect the observations, after the cleanup of stray files that would be due an hour later."""
    storage = LocalStorage(stack.disk.path)
    await remove_strays(stack.queue, storage, older_than_s=0)
    observed = Observations(uploads=load.uploads, misbehaviors=misbehaviors)
    read_slots = asyncio.Semaphore(_CONCURRENT_READS)

    async def read(upload: Upload) -> None:
        async with read_slots:
            for job_id in upload.job_ids:
                observed.statuses[job_id] = await load.status(job_id)
                observed.events[job_id] = await stack.queue.events(job_id)
                observed.audio[job_id] = await load.audio(job_id)

    await asyncio.gather(*(read(upload) for upload in load.uploads))
    async with Redis.from_url(stack.redis.url, decode_responses=True) as redis:
        observed.job_ids = set(await _key_suffixes(redis, "JOB"))
        observed.unfinished = set(await _key_suffixes(redis, "TASKS"))
        observed.tasks = await tasks_by_place(redis)
    volume = stack.disk.path
    names = sorted(path.relative_to(volume).as_posix() for path in volume.rglob("*") if path.is_file())
    observed.partial_files = [name for name in names if Path(name).name.startswith(".")]
    observed.files = [
        name for name in names if name.startswith(("input/", "work/", "output/")) and name not in observed.partial_files
    ]
    return observed


async def tasks_by_place(redis: Redis) -> dict[str, list[str]]:
    """The tasks in each list or set of the queue that is not empty."""
    places: dict[str, list[Any]] = {}
    for kind in ("QUEUE", "HELD"):
        for suffix in await _key_suffixes(redis, kind):
            places[KEYS[kind] + suffix] = await redis.lrange(KEYS[kind] + suffix, 0, -1)
    places["dead"] = await redis.lrange(KEYS["DEAD"], 0, -1)
    places["delayed"] = await redis.zrange(KEYS["DELAYED"], 0, -1)
    places["live"] = await redis.zrange(KEYS["LIVE"], 0, -1)
    return {place: tasks for place, tasks in places.items() if tasks}


async def _key_suffixes(redis: Redis, kind: str) -> list[str]:
    return [key.removeprefix(KEYS[kind]) async for key in redis.scan_iter(KEYS[kind] + "*", count=1000)]
