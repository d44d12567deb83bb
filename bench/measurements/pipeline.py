"""Three stages that do nothing, so that what is left is the pipeline itself."""

import argparse
import asyncio
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, ExitStack, contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import psutil
import uvloop
from redis.asyncio import Redis
from rich.progress import track

from bench.lib.redis_server import RunningRedis, running_redis
from bench.lib.table import print_table

STAGES = ("stt", "llm", "tts")

#: The first is what the others are compared with.
CONTENDERS = {
    "bare_asyncio": "bare BRPOP loop, asyncio",
    "bare_blocking": "bare BRPOP loop, blocking",
    "cascade_worker": "cascade",
    "celery_chain": "Celery, acks_late",
}

#: Jobs sent one after another for the latency; enough for a 99th percentile.
LATENCY_JOBS = 300

#: Jobs before the first that counts: until all workers are up.
WARM_UP_JOBS = 5

#: Celery is given fewer jobs, since its rate does not depend on how many there are.
CELERY_SHARE = 0.2

#: How often the client looks whether the last job is done.
POLL_S = 0.01


@dataclass
class Contender:
    """With its workers up, and what was measured of it."""

    client: Any
    workers: list[psutil.Process]
    latencies_ms: list[float] = field(default_factory=list)
    """From submit to the announcement of the end, with all stages idle."""

    jobs_per_s: list[float] = field(default_factory=list)
    """Of jobs that all waited when the first stage began; one figure a round."""

    cpu_ms: list[float] = field(default_factory=list)
    """Of the workers and Redis together, for one job; one figure a round."""


def measure_pipeline(arguments: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory(prefix="bench-") as directory, running_redis(Path(directory)) as redis:
        contenders = uvloop.run(_measure(redis, arguments.rounds, arguments.jobs))
    _print(contenders, arguments.rounds)


async def _measure(redis: RunningRedis, rounds: int, jobs: int) -> dict[str, Contender]:
    """All contenders are up at once and take turns, so that whatever else the machine does hits them alike."""
    with ExitStack() as stack:
        contenders = {
            name: Contender(
                import_module(f"bench.contenders.{name}").Client(redis.url),
                stack.enter_context(_workers(name, redis.url)),
            )
            for name in CONTENDERS
        }
        async with Redis.from_url(redis.url, decode_responses=True) as connection:
            await _measure_latency(contenders, connection)
            for name in track(list(CONTENDERS) * rounds, "pipeline: throughput", transient=True):
                count = int(jobs * CELERY_SHARE) if name == "celery_chain" else jobs
                await _measure_throughput(contenders[name], connection, redis.process, count)
        for contender in contenders.values():
            await contender.client.close()
    return contenders


@contextmanager
def _workers(name: str, url: str) -> Iterator[list[psutil.Process]]:
    """One process for each stage, the first stage's first."""
    command = [sys.executable, "-W", "ignore", "-m", f"bench.contenders.{name}"]
    processes = [subprocess.Popen([*command, stage, url], stdout=subprocess.DEVNULL) for stage in STAGES]
    try:
        yield [psutil.Process(process.pid) for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.wait()


async def _measure_latency(contenders: dict[str, Contender], connection: Any) -> None:
    """One job at a time, each contender in turn. All announce the end on a channel."""
    async with AsyncExitStack() as stack:
        heard = {}
        for name, contender in contenders.items():
            channel = await stack.enter_async_context(connection.pubsub())
            await channel.psubscribe(contender.client.events)
            heard[name] = channel.listen()
            await anext(heard[name])  # the subscription's own
        for number in track(range(WARM_UP_JOBS + LATENCY_JOBS), "pipeline: latency", transient=True):
            for name, contender in contenders.items():
                latency_ms = await _latency_ms(contender.client, heard[name])
                if number >= WARM_UP_JOBS:
                    contender.latencies_ms.append(latency_ms)
                await asyncio.sleep(random.uniform(0.004, 0.008))  # so that all stages wait again


async def _latency_ms(client: Any, messages: AsyncIterator[Any]) -> float:
    started = time.perf_counter()
    job = await client.submit()
    async for message in messages:
        if client.announces_end(message["channel"], message["data"], job):
            break
    return (time.perf_counter() - started) * 1000


async def _measure_throughput(contender: Contender, connection: Any, redis: psutil.Process, jobs: int) -> None:
    """The first stage is frozen while the jobs are submitted."""
    client, processes = contender.client, [*contender.workers, redis]
    contender.workers[0].suspend()
    last = [await client.submit() for _ in range(jobs)][-1]
    used_s, started = _cpu_s(processes), time.perf_counter()
    contender.workers[0].resume()
    # One worker a stage keeps the order. What is awaited happens in another process.
    while not await client.has_ended(connection, last):  # noqa: ASYNC110
        await asyncio.sleep(POLL_S)
    contender.jobs_per_s.append(jobs / (time.perf_counter() - started))
    contender.cpu_ms.append((_cpu_s(processes) - used_s) / jobs * 1000)


def _cpu_s(processes: list[psutil.Process]) -> float:
    return sum(times.user + times.system for times in (process.cpu_times() for process in processes))


def _print(contenders: dict[str, Contender], rounds: int) -> None:
    rows = []
    bare = contenders["bare_asyncio"]
    for name, contender in contenders.items():
        p50, p99 = median(contender.latencies_ms), quantiles(contender.latencies_ms, n=100)[98]
        rows.append(
            [
                CONTENDERS[name],
                f"{p50:.2f}",
                f"{p99:.2f}",
                f"{p50 / median(bare.latencies_ms):.2f} x",
                f"{median(contender.jobs_per_s):.0f}",
                f"{_times(contender, bare):.2f} x",
                f"{median(contender.cpu_ms):.2f}",
            ]
        )
    heads = ["", "p50 ms", "p99 ms", "p50 to bare", "jobs/s", "jobs/s to bare", "CPU ms a job"]
    print_table(f"Pipeline: three stages that do nothing (median of {rounds} rounds)", heads, rows)
    times = _times(contenders["cascade_worker"], contenders["celery_chain"])
    print(f"cascade does {times:.1f} times Celery's jobs a second.\n")


def _times(contender: Contender, other: Contender) -> float:
    """How many times the other's jobs a second, within a round."""
    return median(mine / its for mine, its in zip(contender.jobs_per_s, other.jobs_per_s, strict=True))
