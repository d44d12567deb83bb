"""Ways from recordings to spoken answers, each up until it is left: the product's workers, their engines alone, and the
straightforward pipeline. All get the same variables."""

import asyncio
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import psutil
import uvloop
from redis import Redis

from bench.contenders import straightforward
from bench.contenders.bare_engines import Spoken, bare_engines
from bench.lib.redis_server import RunningRedis
from bench.lib.services import running
from shared.queue.queue import Queue
from shared.queue.stages import SPEECH_TO_SPEECH, STAGES, first_task
from shared.storage.local import LocalStorage

#: Engine plugins of the benchmark's own.
_PLUGIN = Path(__file__).parents[1] / "entry_points"

#: How often the benchmark looks whether all have ended. When each did is noted by whoever ended it.
_POLL_S = 0.25

_PATIENCE_S = 120

#: Takes recordings, which all wait at once, through all stages.
Speak = Callable[[list[Path]], Spoken]


@dataclass(frozen=True)
class Place:
    """Where they work, and with what."""

    redis: RunningRedis
    volume: Path
    settings: Mapping[str, str]
    """The workers' variables."""


@contextmanager
def cascade(place: Place) -> Iterator[Speak]:
    """One worker of each stage."""
    paths = os.pathsep.join(filter(None, [str(_PLUGIN), os.environ.get("PYTHONPATH")]))
    settings = dict(place.settings) | {"PYTHONPATH": paths, "LLM_ENGINE": "scripted"}
    with ExitStack() as stack:
        workers = [stack.enter_context(running(f"{stage}_worker", **settings)) for stage in STAGES]
        uvloop.run(_until_ready(place))

        def speak(recordings: list[Path]) -> Spoken:
            return uvloop.run(_through_queue(place, workers, recordings))

        yield speak


async def _until_ready(place: Place) -> None:
    queue = Queue.connect(place.redis.url)
    async with asyncio.timeout(_PATIENCE_S):
        # What is awaited happens in other processes.
        while {worker.stage for worker in await queue.workers()} != set(STAGES):  # noqa: ASYNC110
            await asyncio.sleep(_POLL_S)
    await queue.close()


async def _through_queue(place: Place, workers: list[psutil.Process], recordings: list[Path]) -> Spoken:
    """Jobs as the API makes them, without the upload."""
    queue, storage = Queue.connect(place.redis.url), LocalStorage(place.volume)
    jobs = [uuid4().hex for _ in recordings]
    for job, path in zip(jobs, recordings, strict=True):
        with storage.upload_writer(job) as upload:
            upload.write(path.read_bytes())
    started, used_s = time.time(), _cpu_s([*workers, place.redis.process])
    fields = {"route": SPEECH_TO_SPEECH}
    submits = (queue.submit(job, fields, [first_task(SPEECH_TO_SPEECH, job)], max_live=1_000_000) for job in jobs)
    await asyncio.gather(*submits)
    async with asyncio.timeout(_PATIENCE_S):
        while (await queue.stats()).live:  # noqa: ASYNC110
            await asyncio.sleep(_POLL_S)
    used_s = _cpu_s([*workers, place.redis.process]) - used_s
    ended = [await queue.fields(job) for job in jobs]
    await queue.close()
    if {each["status"] for each in ended} != {"completed"}:
        raise RuntimeError("A job has failed.")
    elapsed_s = max(int(each["ended_at"]) for each in ended) / 1000 - started
    return Spoken(elapsed_s, used_s, [each["transcript"] for each in ended])


@contextmanager
def engines_alone(place: Place, together: int = 1) -> Iterator[Speak]:
    """Its engines in one process, so many questions recognized `together`."""
    with bare_engines(place.settings) as engines:
        yield lambda recordings: engines.speak(recordings, place.volume, together)


@contextmanager
def straightforward_pipeline(place: Place) -> Iterator[Speak]:
    """One worker of each stage."""
    with ExitStack() as stack:
        redis: Any = stack.enter_context(Redis.from_url(place.redis.url, decode_responses=True))
        redis.delete(straightforward.READY)
        workers = [
            stack.enter_context(running("bench.contenders.straightforward", stage, **place.settings))
            for stage in STAGES
        ]
        _wait(lambda: redis.scard(straightforward.READY) == len(STAGES))

        def speak(recordings: list[Path]) -> Spoken:
            started, used_s = time.time(), _cpu_s([*workers, place.redis.process])
            jobs = straightforward.submit(redis, recordings)
            _wait(lambda: "ended_at" in straightforward.fields_of(redis, jobs[-1]))
            used_s = _cpu_s([*workers, place.redis.process]) - used_s
            ended = [straightforward.fields_of(redis, job) for job in jobs]
            elapsed_s = max(float(each["ended_at"]) for each in ended) - started
            return Spoken(elapsed_s, used_s, [each["transcript"] for each in ended])

        yield speak


def _wait(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while not is_so():
        if time.monotonic() > deadline:
            raise RuntimeError("The straightforward pipeline stands still.")
        time.sleep(_POLL_S)


def _cpu_s(processes: list[psutil.Process]) -> float:
    """Of the processes and their children that live."""
    all_of_them = [each for process in processes for each in (process, *process.children(recursive=True))]
    return sum(times.user + times.system for times in (process.cpu_times() for process in all_of_them))
