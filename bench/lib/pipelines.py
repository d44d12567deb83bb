"""Complete pipelines from recordings to answer audio: the product's workers, their engines without workers, and the
straightforward pipeline. All get the same environment variables and run until the block is left."""

import asyncio
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
from bench.contenders.bare_engines import TurnsResult, bare_engines
from bench.lib.processes import cpu_s, with_children
from bench.lib.redis_server import RedisServer
from bench.lib.services import path_with_bench_engines, running
from shared.queue.queue import Queue
from shared.queue.stages import SPEECH_TO_SPEECH, STAGES, first_task
from shared.storage.local import LocalStorage

#: Interval of the check for the last job's end. It adds no error: the workers record when each job ended.
_POLL_S = 0.25

_TIMEOUT_S = 120

#: Submits all recordings at once and waits until they have passed all stages.
RunTurns = Callable[[list[Path]], TurnsResult]


@dataclass(frozen=True)
class Environment:
    """The Redis server, the volume and the settings of a pipeline."""

    redis: RedisServer
    volume: Path
    settings: Mapping[str, str]
    """The workers' environment variables."""


@contextmanager
def cascade_pipeline(environment: Environment) -> Iterator[RunTurns]:
    """One worker of each stage."""
    settings = dict(environment.settings) | {"PYTHONPATH": path_with_bench_engines(), "LLM_ENGINE": "scripted"}
    with ExitStack() as stack:
        workers = [stack.enter_context(running(f"{stage}_worker", **settings)) for stage in STAGES]
        uvloop.run(_wait_for_workers(environment))

        def run_turns(recordings: list[Path]) -> TurnsResult:
            return uvloop.run(_run_through_queue(environment, workers, recordings))

        yield run_turns


async def _wait_for_workers(environment: Environment) -> None:
    queue = Queue.connect(environment.redis.url)
    async with asyncio.timeout(_TIMEOUT_S):
        # An event cannot replace the sleep: the workers are other processes.
        while {worker.stage for worker in await queue.workers()} != set(STAGES):  # noqa: ASYNC110
            await asyncio.sleep(_POLL_S)
    await queue.close()


async def _run_through_queue(
    environment: Environment, workers: list[psutil.Process], recordings: list[Path]
) -> TurnsResult:
    """Jobs as the API submits them, without the upload."""
    queue = Queue.connect(environment.redis.url)
    storage = LocalStorage(environment.volume)
    jobs = [uuid4().hex for _ in recordings]
    for job, path in zip(jobs, recordings, strict=True):
        with storage.upload_writer(job) as upload:
            upload.write(path.read_bytes())
    processes = [*workers, environment.redis.process]
    started, cpu_before_s = time.time(), cpu_s(with_children(processes))
    route = {"route": SPEECH_TO_SPEECH}
    submits = (queue.submit(job, route, [first_task(SPEECH_TO_SPEECH, job)], max_live=1_000_000) for job in jobs)
    await asyncio.gather(*submits)
    async with asyncio.timeout(_TIMEOUT_S):
        while (await queue.stats()).live:  # noqa: ASYNC110
            await asyncio.sleep(_POLL_S)
    used_s = cpu_s(with_children(processes)) - cpu_before_s
    ended_jobs = [await queue.fields(job) for job in jobs]
    await queue.close()
    if {fields["status"] for fields in ended_jobs} != {"completed"}:
        raise RuntimeError("A job has failed.")
    elapsed_s = max(int(fields["ended_at"]) for fields in ended_jobs) / 1000 - started
    return TurnsResult(elapsed_s, used_s, [fields["transcript"] for fields in ended_jobs])


@contextmanager
def bare_engines_pipeline(environment: Environment, batch_size: int = 1) -> Iterator[RunTurns]:
    """The product's engines in one process, which transcribes `batch_size` questions at a time."""
    with bare_engines(environment.settings) as engines:
        yield lambda recordings: engines.run_turns(recordings, environment.volume, batch_size)


@contextmanager
def straightforward_pipeline(environment: Environment) -> Iterator[RunTurns]:
    """One worker of each stage."""
    with ExitStack() as stack:
        redis: Any = stack.enter_context(Redis.from_url(environment.redis.url, decode_responses=True))
        redis.delete(straightforward.READY)
        workers = [
            stack.enter_context(running("bench.contenders.straightforward", stage, **environment.settings))
            for stage in STAGES
        ]
        _wait_until(lambda: redis.scard(straightforward.READY) == len(STAGES))

        def run_turns(recordings: list[Path]) -> TurnsResult:
            processes = [*workers, environment.redis.process]
            started, cpu_before_s = time.time(), cpu_s(with_children(processes))
            jobs = straightforward.submit(redis, recordings)
            _wait_until(lambda: "ended_at" in straightforward.job_fields(redis, jobs[-1]))
            used_s = cpu_s(with_children(processes)) - cpu_before_s
            ended_jobs = [straightforward.job_fields(redis, job) for job in jobs]
            elapsed_s = max(float(fields["ended_at"]) for fields in ended_jobs) - started
            return TurnsResult(elapsed_s, used_s, [fields["transcript"] for fields in ended_jobs])

        yield run_turns


def _wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _TIMEOUT_S
    while not condition():
        if time.monotonic() > deadline:
            raise RuntimeError(f"The straightforward pipeline did not finish within {_TIMEOUT_S} s.")
        time.sleep(_POLL_S)
