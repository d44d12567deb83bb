"""Cost of the pipeline itself: three stages that do nothing."""

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

from bench.lib.processes import cpu_s
from bench.lib.redis_server import RedisServer, running_redis
from bench.lib.statistics import ratios
from bench.lib.table import print_table

STAGES = ("stt", "llm", "tts")

#: The others are compared with the first.
CONTENDERS = {
    "bare_asyncio": "bare BRPOP loop, asyncio",
    "bare_blocking": "bare BRPOP loop, blocking",
    "cascade_worker": "cascade",
    "celery_chain": "Celery, acks_late",
}

#: Jobs sent one after another to measure the latency; enough for a 99th percentile.
LATENCY_JOBS = 300

#: Jobs that are not counted, until all workers are ready.
WARM_UP_JOBS = 5

#: Fraction of the jobs for Celery, since its rate does not depend on their number.
CELERY_SHARE = 0.2

#: Interval of the check for the last job's end.
POLL_S = 0.01


@dataclass
class Contender:
    """A contender with running workers, and its measurements."""

    client: Any
    workers: list[psutil.Process]
    latencies_ms: list[float] = field(default_factory=list)
    """From submit to the announcement of the end, with all stages idle."""

    jobs_per_s: list[float] = field(default_factory=list)
    """With all jobs queued before the first stage starts; one figure per round."""

    cpu_ms: list[float] = field(default_factory=list)
    """Of the workers and Redis together, per job; one figure per round."""


def measure_pipeline(arguments: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory(prefix="bench-") as directory, running_redis(Path(directory)) as redis:
        contenders = uvloop.run(_measure(redis, arguments.rounds, arguments.jobs))
    _print(contenders, arguments.rounds)


async def _measure(redis: RedisServer, rounds: int, jobs: int) -> dict[str, Contender]:
    """All contenders run at the same time and take turns, so that other load on the machine affects them alike."""
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
    """One process per stage, in the order of the stages."""
    command = [sys.executable, "-W", "ignore", "-m", f"bench.contenders.{name}"]
    processes = [subprocess.Popen([*command, stage, url], stdout=subprocess.DEVNULL) for stage in STAGES]
    try:
        yield [psutil.Process(process.pid) for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.wait()


async def _measure_latency(contenders: dict[str, Contender], connection: Any) -> None:
    """One job at a time, each contender in turn. All contenders announce the end on a channel."""
    async with AsyncExitStack() as stack:
        messages = {}
        for name, contender in contenders.items():
            channel = await stack.enter_async_context(connection.pubsub())
            await channel.psubscribe(contender.client.channel_pattern)
            messages[name] = channel.listen()
            await anext(messages[name])  # the confirmation of the subscription
        for number in track(range(WARM_UP_JOBS + LATENCY_JOBS), "pipeline: latency", transient=True):
            for name, contender in contenders.items():
                latency_ms = await _latency_ms(contender.client, messages[name])
                if number >= WARM_UP_JOBS:
                    contender.latencies_ms.append(latency_ms)
                await asyncio.sleep(random.uniform(0.004, 0.008))  # until all stages wait again


async def _latency_ms(client: Any, messages: AsyncIterator[Any]) -> float:
    started = time.perf_counter()
    job = await client.submit()
    async for message in messages:
        if client.announces_end(message["channel"], message["data"], job):
            break
    return (time.perf_counter() - started) * 1000


async def _measure_throughput(contender: Contender, connection: Any, redis: psutil.Process, jobs: int) -> None:
    """The first stage is suspended while the jobs are submitted."""
    client, processes = contender.client, [*contender.workers, redis]
    contender.workers[0].suspend()
    last = [await client.submit() for _ in range(jobs)][-1]
    cpu_before_s, started = cpu_s(processes), time.perf_counter()
    contender.workers[0].resume()
    # One worker per stage keeps the order. An event cannot replace the sleep: the workers are other processes.
    while not await client.has_ended(connection, last):  # noqa: ASYNC110
        await asyncio.sleep(POLL_S)
    contender.jobs_per_s.append(jobs / (time.perf_counter() - started))
    contender.cpu_ms.append((cpu_s(processes) - cpu_before_s) / jobs * 1000)


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
                f"{_rate_ratio(contender, bare):.2f} x",
                f"{median(contender.cpu_ms):.2f}",
            ]
        )
    heads = ["", "p50 ms", "p99 ms", "p50 to bare", "jobs/s", "jobs/s to bare", "CPU ms per job"]
    print_table(f"Empty pipeline: three stages that do nothing (median of {rounds} rounds)", heads, rows)
    ratio = _rate_ratio(contenders["cascade_worker"], contenders["celery_chain"])
    print(f"cascade completes {ratio:.1f} times as many jobs per second as Celery.\n")


def _rate_ratio(contender: Contender, other: Contender) -> float:
    """Jobs per second as a multiple of the other's, the median of each round's ratio."""
    return median(ratios(contender.jobs_per_s, other.jobs_per_s))
