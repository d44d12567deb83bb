"""Time of the queue's transitions with few and with many tasks waiting in the stage's list."""

import argparse
import asyncio
import tempfile
import time
from collections import defaultdict
from collections.abc import Awaitable
from pathlib import Path
from statistics import median
from typing import TypeVar
from uuid import uuid4

import uvloop
from rich.progress import track

from bench.lib.redis_server import running_redis
from bench.lib.statistics import ratios, spread
from bench.lib.table import print_table
from shared.queue.messages import Claim, Outcome
from shared.queue.queue import Queue
from shared.queue.stages import first_task

#: Numbers of waiting tasks. The others are compared with the first.
DEPTHS = (1, 100, 10_000)

#: Calls of each transition per round and depth.
CALLS = 300

#: Calls before the first round, until scripts and connections are warm.
WARM_UP_CALLS = 50

#: Jobs that are submitted concurrently to fill a list.
FILL_BATCH = 20

WORKER = "stt-bench"
OUTCOME = Outcome({"transcript": "How long has tea been drunk?", "language": "en"})

ReplyT = TypeVar("ReplyT")

#: Seconds by transition: of the calls in a round, or a median per round.
Timings = dict[str, list[float]]


class FilledQueue:
    """A queue with waiting tasks, each of a job with a single stage, in a database of its own."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self.figures: Timings = defaultdict(list)
        self._elapsed_s: Timings = defaultdict(list)

    async def fill(self, depth: int) -> None:
        for start in range(0, depth, FILL_BATCH):
            await asyncio.gather(*(self.submit() for _ in range(min(FILL_BATCH, depth - start))))

    async def submit(self) -> None:
        job = uuid4().hex
        await self._queue.submit(job, {"route": "stt"}, [first_task("stt", job)], max_live=1_000_000)

    async def time_transitions(self) -> None:
        """Time each transition once. At the end as many tasks wait as at the beginning."""
        first = await self._timed("claim and begin", self._queue.claim(WORKER, "stt", uuid4().hex))
        await self._timed("submit", self.submit())
        commit_and_claim = self._queue.commit_and_claim(WORKER, _require_task(first), OUTCOME, uuid4().hex)
        _, second = await self._timed("commit, claim and begin", commit_and_claim)
        await self.submit()
        await self._timed("commit", self._queue.commit(WORKER, _require_task(second), OUTCOME))

    def end_round(self, *, is_warm_up: bool) -> None:
        if not is_warm_up:
            for transition, elapsed_s in self._elapsed_s.items():
                self.figures[transition].append(median(elapsed_s))
        self._elapsed_s.clear()

    async def close(self) -> None:
        await self._queue.close()

    async def _timed(self, transition: str, call: Awaitable[ReplyT]) -> ReplyT:
        started = time.perf_counter()
        reply = await call
        self._elapsed_s[transition].append(time.perf_counter() - started)
        return reply


def _require_task(claim: Claim | None) -> Claim:
    if claim is None:
        raise RuntimeError("The queue returned no task, although some wait.")
    return claim


def measure_depth(arguments: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory(prefix="bench-") as directory, running_redis(Path(directory)) as redis:
        figures = uvloop.run(_measure(redis.url, arguments.rounds))
    _print(figures, arguments.rounds)


async def _measure(url: str, rounds: int) -> dict[int, Timings]:
    """All depths take turns at each transition, so that other load on the machine affects them alike."""
    server = url.rpartition("/")[0]
    queues = {depth: FilledQueue(Queue.connect(f"{server}/{database}")) for database, depth in enumerate(DEPTHS)}
    for depth, queue in queues.items():
        await queue.fill(depth)
    for number in track(range(rounds + 1), "depth", transient=True):
        for _ in range(CALLS if number else WARM_UP_CALLS):
            for queue in queues.values():
                await queue.time_transitions()
        for queue in queues.values():
            queue.end_round(is_warm_up=number == 0)
    for queue in queues.values():
        await queue.close()
    return {depth: queue.figures for depth, queue in queues.items()}


def _print(figures: dict[int, Timings], rounds: int) -> None:
    shallow, *_ = DEPTHS
    rows = [
        [
            transition,
            *(f"{1e6 * median(figures[depth][transition]):.0f}" for depth in DEPTHS),
            *(spread(ratios(figures[depth][transition], elapsed_s)) for depth in DEPTHS[1:]),
        ]
        for transition, elapsed_s in figures[shallow].items()
    ]
    heads = [
        "us, by waiting tasks",
        *(f"{depth:,}" for depth in DEPTHS),
        *(f"{depth:,} to {shallow}" for depth in DEPTHS[1:]),
    ]
    print_table(f"Time of a transition by the number of waiting tasks ({rounds} rounds of {CALLS})", heads, rows)
