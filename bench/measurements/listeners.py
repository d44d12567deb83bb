"""Memory, CPU and delay of events with many subscribers, clients that follow jobs by server-sent events, on one API
process."""

import argparse
import asyncio
import re
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles
from uuid import uuid4

import psutil

from bench.lib.processes import MB, cpu_s, resident_mb
from bench.lib.redis_server import running_redis
from bench.lib.services import running_api
from bench.lib.table import print_table
from shared.queue.events import TextEvent
from shared.queue.messages import Claim, Outcome
from shared.queue.queue import Queue
from shared.queue.stages import task_name

SUBSCRIBERS = 1_000

#: Numbers of subscribers and of the jobs that they follow. The others are compared with the first.
SHAPES = ((1, 1), (SUBSCRIBERS, 1), (SUBSCRIBERS, SUBSCRIBERS))

#: By the number of jobs: events per round, and the seconds from one to the next. On one job that is about the pace of
#: sentences, on a thousand jobs the rate of two hundred active ones.
EVENTS = {1: (40, 0.25), SUBSCRIBERS: (1_000, 0.01)}

#: Far more than a round needs.
TIMEOUT_S = 60

_SENT = re.compile(rb'"sent_ns": ?(\d+)')


@dataclass(frozen=True)
class _TimedText(TextEvent):
    """A text event with its send time."""

    sent_ns: int


@dataclass(frozen=True)
class RoundFigures:
    """Figures of one shape in one round."""

    memory_mb: float
    cpu_ms: float
    """Of the API, per event sent to one subscriber."""
    delays_ms: list[float]


class _Delays:
    """The delays of the events that all subscribers have received."""

    def __init__(self, expected: int) -> None:
        self.values_ms: list[float] = []
        self.complete = asyncio.Event()
        self._expected = expected

    def add(self, sent_ns: list[bytes]) -> None:
        now_ns = time.monotonic_ns()
        self.values_ms += ((now_ns - int(time_ns)) / 1e6 for time_ns in sent_ns)
        if len(self.values_ms) >= self._expected:
            self.complete.set()


class _Subscriber(asyncio.Protocol):
    """A client that follows one job and records the delay of each event."""

    def __init__(self, job_id: str, delays: _Delays) -> None:
        self._job_id = job_id
        self._delays = delays
        self.connected = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.write(f"GET /events/{self._job_id} HTTP/1.1\r\nHost: api\r\n\r\n".encode())

    def data_received(self, data: bytes) -> None:
        self._delays.add(_SENT.findall(data))
        if b"processing" in data:  # a stored event: the API has subscribed the client
            self.connected.set()


def measure_listeners(arguments: argparse.Namespace) -> None:
    asyncio.run(_measure(arguments.rounds))


async def _measure(rounds: int) -> None:
    figures: dict[tuple[int, int], list[RoundFigures]] = {shape: [] for shape in SHAPES}
    for _ in range(rounds):
        for shape in SHAPES:
            # A new process per shape, since Python seldom returns memory to the system.
            with tempfile.TemporaryDirectory(prefix=".bench-", dir=Path.cwd()) as directory:
                root = Path(directory)
                with running_redis(root) as redis, running_api(root / "volume", redis.url) as (port, api):
                    figures[shape].append(await _measure_round(*shape, redis.url, port, api))
    _print(figures)


async def _measure_round(subscribers: int, jobs: int, redis_url: str, port: int, api: psutil.Process) -> RoundFigures:
    queue = Queue.connect(redis_url)
    warm_up, *claims = [await _claimed_job(queue) for _ in range(jobs + 1)]
    count, interval_s = EVENTS[jobs]
    delays = _Delays(count * subscribers // jobs)
    idle = await _subscribe(1, [warm_up], port, delays)
    memory_before_mb = resident_mb(api)
    connections = await _subscribe(subscribers, claims, port, delays)
    memory_mb = resident_mb(api) - memory_before_mb

    cpu_before_s = cpu_s([api])
    due = time.monotonic()
    for number in range(count):
        due += interval_s
        await asyncio.sleep(max(due - time.monotonic(), 0))
        event = _TimedText("As many words as a sentence has.", time.monotonic_ns())
        await queue.commit_partial("worker", claims[number % jobs], Outcome({}, events=[event], steps=number // jobs))
    async with asyncio.timeout(TIMEOUT_S):
        await delays.complete.wait()
    used_s = cpu_s([api]) - cpu_before_s

    for transport in idle + connections:
        transport.abort()
    await queue.close()
    return RoundFigures(memory_mb, 1000 * used_s / len(delays.values_ms), delays.values_ms)


async def _claimed_job(queue: Queue) -> Claim:
    """Submit a job and claim its LLM task."""
    job_id, token = uuid4().hex, uuid4().hex
    await queue.submit(job_id, {"route": "llm,tts"}, [(task_name("llm", job_id), "")], max_live=SUBSCRIBERS + 1)
    claim = await queue.claim("worker", "llm", token)
    assert claim is not None
    return claim


async def _subscribe(count: int, claims: list[Claim], port: int, delays: _Delays) -> list[asyncio.Transport]:
    loop = asyncio.get_running_loop()
    subscribers = []
    for number in range(count):
        subscriber = _Subscriber(claims[number % len(claims)].job_id, delays)
        await loop.create_connection(lambda subscriber=subscriber: subscriber, "127.0.0.1", port)  # type: ignore[misc]
        subscribers.append(subscriber)
    async with asyncio.timeout(TIMEOUT_S):
        for subscriber in subscribers:
            await subscriber.connected.wait()
    return [subscriber.transport for subscriber in subscribers]


def _print(figures: dict[tuple[int, int], list[RoundFigures]]) -> None:
    single_p99_ms = _p99(figures[SHAPES[0]])
    rows = []
    for (subscribers, jobs), rounds in figures.items():
        memory_mb = median(figure.memory_mb for figure in rounds)
        rows.append(
            [
                f"{subscribers:,} on {jobs:,} job{'s' if jobs > 1 else ''}",
                f"{memory_mb:.1f}",
                f"{memory_mb * MB / 1000 / subscribers:.0f}",
                f"{median(figure.cpu_ms for figure in rounds):.2f}",
                f"{median(median(figure.delays_ms) for figure in rounds):.1f}",
                f"{_p99(rounds):.1f}",
                f"{_p99(rounds) / single_p99_ms:.1f} x",
            ]
        )
    heads = ["subscribers", "memory, MB", "kB each", "CPU, ms/event", "delay p50, ms", "p99, ms", "p99 to first"]
    print_table(f"Subscribers on one API process (median of {len(rounds)} rounds)", heads, rows)


def _p99(rounds: list[RoundFigures]) -> float:
    return median(quantiles(figure.delays_ms, n=100)[-1] for figure in rounds)
