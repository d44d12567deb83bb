"""Following a job: what happens to it is read once for the whole process, however many callers follow it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from api.changes import Changes
from shared.background import end
from shared.errors import QueueUnavailable, QueueUnreadable
from shared.job import ENDED
from shared.queue import Queue

_RECONNECT_S = 0.5

#: How often somebody who waits is told how many are before.
_POSITION_EVERY_S = 2.0

Event = dict[str, Any]


class Feed:
    """The events of one job, as a list that grows. Each follower has a place in it of its own: one that is slow has
    nothing kept for it, and keeps nobody waiting."""

    def __init__(self) -> None:
        self._events: list[Event] = []
        self._grown = asyncio.Event()
        self._broken = False

    @property
    def last_id(self) -> str:
        return str(self._events[-1]["id"]) if self._events else ""

    @property
    def has_ended(self) -> bool:
        """Whether nothing more is to be expected."""
        return self._broken or (bool(self._events) and self._events[-1]["event"] in ENDED)

    def add(self, events: list[Event]) -> None:
        self._events += events
        self._wake()

    def give_up(self) -> None:
        self._broken = True
        self._wake()

    def _wake(self) -> None:
        self._grown.set()
        self._grown = asyncio.Event()

    async def follow(self, after: str = "") -> AsyncIterator[Event]:
        """Every event behind the one with the id `after`, until the job has ended."""
        begin, place = _order(after), 0
        while True:
            grown = self._grown
            while place < len(self._events):
                event = self._events[place]
                place += 1
                if _order(event["id"]) > begin:
                    yield event
            if self.has_ended:
                return
            await grown.wait()


class Feeds:
    """The feeds that somebody follows."""

    def __init__(self, queue: Queue, changes: Changes) -> None:
        self._queue, self._changes = queue, changes
        self._open: dict[str, tuple[Feed, asyncio.Task[None]]] = {}
        self._followers: dict[str, int] = {}

    @asynccontextmanager
    async def open(self, job_id: str) -> AsyncIterator[Feed]:
        """The feed of a job that exists."""
        if job_id not in self._open:
            feed = Feed()
            self._open[job_id] = feed, asyncio.create_task(self._fill(feed, job_id))
            self._followers[job_id] = 0
        feed, filling = self._open[job_id]
        self._followers[job_id] += 1
        try:
            yield feed
        finally:
            self._followers[job_id] -= 1
            if not self._followers[job_id]:
                del self._open[job_id], self._followers[job_id]
                await end([filling])

    async def _fill(self, feed: Feed, job_id: str) -> None:
        position = None
        with self._changes.watch(job_id) as changed:
            while True:
                changed.clear()
                try:
                    feed.add(await self._queue.events(job_id, feed.last_id))
                    if not feed.has_ended and (now := await self._queue.position(job_id)) != position:
                        position = now
                        if now is not None:
                            feed.add([{"id": feed.last_id, "event": "position"} | now])
                except QueueUnavailable:
                    await asyncio.sleep(_RECONNECT_S)
                    continue
                except QueueUnreadable:
                    feed.give_up()
                    return
                try:
                    async with asyncio.timeout(None if position is None else _POSITION_EVERY_S):
                        await changed.wait()
                except TimeoutError:
                    pass


def _order(event_id: str) -> tuple[int, ...]:
    """Ids in the order in which they were given out."""
    return tuple(map(int, event_id.split("-"))) if event_id else (-1,)
