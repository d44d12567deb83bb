"""What a task's transitions take while few or many others wait in its stage's list."""

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

#: How many tasks wait. The first is what the others are held against.
DEPTHS = (1, 100, 10_000)

#: How often each transition is timed in a round, at each depth.
TIMES = 300

#: Before the first round, until scripts and connections are warm.
WARM_UP_TIMES = 50

#: Jobs that are submitted at once to fill a list.
FILLING = 20

WORKER = "stt-bench"
OUTCOME = Outcome({"transcript": "How long has tea been drunk?", "language": "en"})

ReplyT = TypeVar("ReplyT")

#: Seconds by transition; in a list, one of each round.
Figures = dict[str, list[float]]


class Filled:
    """A queue with so many waiting tasks, each of a job that ends with it, in a database of its own."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self.figures: Figures = defaultdict(list)
        self._elapsed_s: Figures = defaultdict(list)

    async def fill(self, depth: int) -> None:
        for start in range(0, depth, FILLING):
            await asyncio.gather(*(self.submit() for _ in range(min(FILLING, depth - start))))

    async def submit(self) -> None:
        job = uuid4().hex
        await self._queue.submit(job, {"route": "stt"}, [first_task("stt", job)], max_live=1_000_000)

    async def turn(self) -> None:
        """Each transition once, with as many waiting before it as at the beginning."""
        first = await self._timed("claim and begin", self._queue.claim(WORKER, "stt", uuid4().hex))
        await self._timed("submit", self.submit())
        handing_on = self._queue.commit_and_claim(WORKER, _claimed(first), OUTCOME, uuid4().hex)
        _, second = await self._timed("commit, claim and begin", handing_on)
        await self.submit()
        await self._timed("commit", self._queue.commit(WORKER, _claimed(second), OUTCOME))

    def end_round(self, *, counts: bool) -> None:
        if counts:
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


def _claimed(claim: Claim | None) -> Claim:
    if claim is None:
        raise RuntimeError("No task came, although some wait.")
    return claim


def measure_depth(arguments: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory(prefix="bench-") as directory, running_redis(Path(directory)) as redis:
        figures = uvloop.run(_measure(redis.url, arguments.rounds))
    _print(figures, arguments.rounds)


async def _measure(url: str, rounds: int) -> dict[int, Figures]:
    """All depths take turns at each transition, so that whatever else the machine does hits them alike."""
    server = url.rpartition("/")[0]
    filled = {depth: Filled(Queue.connect(f"{server}/{database}")) for database, depth in enumerate(DEPTHS)}
    for depth, each in filled.items():
        await each.fill(depth)
    for number in track(range(rounds + 1), "depth", transient=True):
        for _ in range(TIMES if number else WARM_UP_TIMES):
            for each in filled.values():
                await each.turn()
        for each in filled.values():
            each.end_round(counts=number > 0)
    for each in filled.values():
        await each.close()
    return {depth: each.figures for depth, each in filled.items()}


def _print(figures: dict[int, Figures], rounds: int) -> None:
    shallow, *_ = DEPTHS
    rows = [
        [
            transition,
            *(f"{1e6 * median(figures[depth][transition]):.0f}" for depth in DEPTHS),
            *(spread(ratios(figures[depth][transition], elapsed_s)) for depth in DEPTHS[1:]),
        ]
        for transition, elapsed_s in figures[shallow].items()
    ]
    heads = ["us", *(f"{depth:,} wait" for depth in DEPTHS), *(f"{depth:,} to {shallow}" for depth in DEPTHS[1:])]
    print_table(f"A transition by how many tasks wait in the list ({rounds} rounds of {TIMES})", heads, rows)
