"""Following a job: what happens to it is read once for the whole process, however many callers follow it."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from api.jobs.job_changes import ChangeListener
from api.jobs.job_events import Event, order_of
from api.problems.render import Problem
from shared.background import cancel_all
from shared.errors import QueueUnavailable, QueueUnreadable
from shared.queue.queue import Queue

_RECONNECT_S = 0.5

#: How often somebody who waits is told how many are before.
_POSITION_EVERY_S = 2.0

#: A word at least about so often keeps proxies from closing a connection on which nothing happens.
_IDLE_S = 15.0

_TOO_MANY = "Too many callers follow jobs at once. Try again in a moment, or poll /status/{job_id}."


class JobFeed:
    """The events of one job, as a list that grows. Each follower has a place in it of its own: one that is slow has
    nothing kept for it, and keeps nobody waiting."""

    def __init__(self) -> None:
        self._events: list[Event] = []
        self._position: Event | None = None
        self._grown = asyncio.Event()
        self._woken_at = _now()
        self._broken = False

    @property
    def last_id(self) -> str:
        return self._events[-1].id if self._events else ""

    @property
    def has_ended(self) -> bool:
        """Whether nothing more is to be expected."""
        return self._broken or (bool(self._events) and self._events[-1].is_last)

    def add(self, events: list[Event]) -> None:
        if events:
            self._events += events
            self._wake()

    def tell_position(self, position: Event | None) -> None:
        """Where the job waits; None if it does not. That is no part of what happened: only the latest counts, and
        whoever connects again is told it."""
        if position == self._position:
            return
        self._position = position
        if position:
            self._wake()

    def give_up(self) -> None:
        self._broken = True
        self._wake()

    def remind(self) -> None:
        """Let followers say a word if nothing has happened for long. One timer for all: a timer each would cost a third
        of what sending an event costs."""
        if _now() - self._woken_at > _IDLE_S:
            self._wake()

    def _wake(self) -> None:
        self._woken_at = _now()
        self._grown.set()
        self._grown = asyncio.Event()

    async def batches(self, after: str = "") -> AsyncIterator[list[Event]]:
        """Every event behind the one with the id `after`, until the job has ended: all that are known at once, and now
        and then none, when nothing has happened for long."""
        begin, place, position = order_of(after), 0, None
        while True:
            grown = self._grown
            events = [event for event in self._events[place:] if event.order > begin]
            place = len(self._events)
            if self._position is not position:
                position = self._position
                events += [position] if position else []
            yield events
            if place == len(self._events):
                if self.has_ended:
                    return
                await grown.wait()


class FeedRegistry:
    """The feeds that somebody follows."""

    def __init__(self, queue: Queue, changes: ChangeListener, most_followers: int) -> None:
        self._queue, self._changes, self._most = queue, changes, most_followers
        self._open: dict[str, tuple[JobFeed, asyncio.Task[None]]] = {}
        self._followers: Counter[str] = Counter()

    @property
    def followers(self) -> int:
        """Of all jobs together."""
        return self._followers.total()

    @asynccontextmanager
    async def open(self, job_id: str) -> AsyncIterator[JobFeed]:
        """The feed of a job that exists.

        Raises:
            Problem: too many follow some job already.
        """
        if self.followers >= self._most:
            raise Problem(503, "too_many_listeners", _TOO_MANY, {"Retry-After": "5"})
        if job_id not in self._open:
            feed = JobFeed()
            filling = asyncio.create_task(self._fill(feed, job_id))
            filling.add_done_callback(lambda _: feed.give_up())  # nobody waits for what no longer comes
            self._open[job_id] = feed, filling
        feed, filling = self._open[job_id]
        self._followers[job_id] += 1
        try:
            yield feed
        finally:
            self._followers[job_id] -= 1
            if not self._followers[job_id]:
                del self._open[job_id], self._followers[job_id]
                await cancel_all([filling])

    async def _fill(self, feed: JobFeed, job_id: str) -> None:
        with self._changes.watch(job_id) as changed:
            while True:
                feed.remind()
                look_again_s = _IDLE_S
                changed.clear()
                try:
                    stored = await self._queue.events(job_id, feed.last_id)
                    feed.add([Event.read(job_id, each) for each in stored])
                    position = None if feed.has_ended else await self._queue.position(job_id)
                    if position:
                        look_again_s = _POSITION_EVERY_S
                    feed.tell_position(Event(job_id, "", position.name, position.as_dict()) if position else None)
                except QueueUnavailable:
                    await asyncio.sleep(_RECONNECT_S)
                    continue
                except QueueUnreadable:
                    return
                try:
                    async with asyncio.timeout(look_again_s):
                        await changed.wait()
                except TimeoutError:
                    pass


def _now() -> float:
    return asyncio.get_running_loop().time()
