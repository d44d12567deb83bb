"""Many who follow jobs on one API process by server-sent events: memory, CPU, and how late an event comes."""

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

from bench.lib.processes import MB, resident_mb
from bench.lib.redis_server import running_redis
from bench.lib.services import running_api
from bench.lib.table import print_table
from shared.queue.events import TextEvent
from shared.queue.messages import Claim, Outcome
from shared.queue.queue import Queue
from shared.queue.stages import task_name

LISTENERS = 1_000

#: How many listeners are on how many jobs. The first is what the others are held against.
SHAPES = ((1, 1), (LISTENERS, 1), (LISTENERS, LISTENERS))

#: Events of one shape in one round, and the time from one to the next: about as sentences come on one job, and as fast
#: as two hundred jobs make them on a thousand.
EVENTS = {1: (40, 0.25), LISTENERS: (1_000, 0.01)}

#: What takes longer has gone wrong.
PATIENCE_S = 60

_SENT = re.compile(rb'"sent_ns": ?(\d+)')


@dataclass(frozen=True)
class _TimedText(TextEvent):
    """An event that says when it was sent."""

    sent_ns: int


@dataclass(frozen=True)
class Figures:
    """Of one shape in one round."""

    memory_mb: float
    cpu_ms: float
    """For each event that a listener was sent."""
    delays_ms: list[float]


class _Sheet:
    """What all listeners note."""

    def __init__(self, expected: int) -> None:
        self.delays_ms: list[float] = []
        self.full = asyncio.Event()
        self._expected = expected

    def note(self, sent_ns: list[bytes]) -> None:
        now_ns = time.monotonic_ns()
        self.delays_ms += ((now_ns - int(each)) / 1e6 for each in sent_ns)
        if len(self.delays_ms) >= self._expected:
            self.full.set()


class _Listener(asyncio.Protocol):
    """Notes how late each event comes."""

    def __init__(self, job_id: str, sheet: _Sheet) -> None:
        self._job_id, self._sheet = job_id, sheet
        self.connected = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.write(f"GET /events/{self._job_id} HTTP/1.1\r\nHost: api\r\n\r\n".encode())

    def data_received(self, data: bytes) -> None:
        self._sheet.note(_SENT.findall(data))
        if b"processing" in data:  # what had happened before
            self.connected.set()


def measure_listeners(arguments: argparse.Namespace) -> None:
    asyncio.run(_measure(arguments.rounds))


async def _measure(rounds: int) -> None:
    figures: dict[tuple[int, int], list[Figures]] = {shape: [] for shape in SHAPES}
    for _ in range(rounds):
        for shape in SHAPES:
            # A new process for each: what memory Python has once taken it seldom gives back.
            with tempfile.TemporaryDirectory(prefix=".bench-", dir=Path.cwd()) as directory:
                root = Path(directory)
                with running_redis(root) as redis, running_api(root / "volume", redis.url) as (port, api):
                    figures[shape].append(await _run(*shape, redis.url, port, api))
    _print(figures)


async def _run(listeners: int, jobs: int, redis_url: str, port: int, api: psutil.Process) -> Figures:
    queue = Queue.connect(redis_url)
    warm_up, *claims = [await _job(queue) for _ in range(jobs + 1)]
    count, interval_s = EVENTS[jobs]
    sheet = _Sheet(count * listeners // jobs)
    warming = await _listen(1, [warm_up], port, sheet)
    memory_before = resident_mb(api)
    listening = await _listen(listeners, claims, port, sheet)
    memory = resident_mb(api) - memory_before

    cpu_before = _cpu_s(api)
    due = time.monotonic()
    for number in range(count):
        due += interval_s
        await asyncio.sleep(max(due - time.monotonic(), 0))
        event = _TimedText("As many words as a sentence has.", time.monotonic_ns())
        await queue.commit_partial("worker", claims[number % jobs], Outcome({}, events=[event], steps=number // jobs))
    async with asyncio.timeout(PATIENCE_S):
        await sheet.full.wait()
    cpu = _cpu_s(api) - cpu_before

    for transport in warming + listening:
        transport.abort()
    await queue.close()
    return Figures(memory, 1000 * cpu / len(sheet.delays_ms), sheet.delays_ms)


async def _job(queue: Queue) -> Claim:
    """A job on which a language model works."""
    job_id, token = uuid4().hex, uuid4().hex
    await queue.submit(job_id, {"route": "llm,tts"}, [(task_name("llm", job_id), "")], max_live=LISTENERS + 1)
    claim = await queue.claim("worker", "llm", token)
    assert claim is not None
    return claim


async def _listen(count: int, claims: list[Claim], port: int, sheet: _Sheet) -> list[asyncio.Transport]:
    loop = asyncio.get_running_loop()
    opened = []
    for number in range(count):
        listener = _Listener(claims[number % len(claims)].job_id, sheet)
        await loop.create_connection(lambda listener=listener: listener, "127.0.0.1", port)  # type: ignore[misc]
        opened.append(listener)
    async with asyncio.timeout(PATIENCE_S):
        for listener in opened:
            await listener.connected.wait()
    return [listener.transport for listener in opened]


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _print(figures: dict[tuple[int, int], list[Figures]]) -> None:
    alone = _p99(figures[SHAPES[0]])
    rows = []
    for (listeners, jobs), rounds in figures.items():
        memory = median(each.memory_mb for each in rounds)
        rows.append(
            [
                f"{listeners:,} on {jobs:,} job{'s' if jobs > 1 else ''}",
                f"{memory:.1f}",
                f"{memory * MB / 1000 / listeners:.0f}",
                f"{median(each.cpu_ms for each in rounds):.2f}",
                f"{median(median(each.delays_ms) for each in rounds):.1f}",
                f"{_p99(rounds):.1f}",
                f"{_p99(rounds) / alone:.1f} x",
            ]
        )
    heads = ["listeners", "memory, MB", "kB each", "CPU, ms/event", "delay p50, ms", "p99, ms", "p99 to 1 listener"]
    print_table(f"Listeners on one API process (median of {len(rounds)} rounds)", heads, rows)


def _p99(rounds: list[Figures]) -> float:
    return median(quantiles(each.delays_ms, n=100)[-1] for each in rounds)
