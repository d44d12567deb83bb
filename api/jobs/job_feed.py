"""Feeds: the events of a job, read from Redis once for all its subscribers in this process."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from api.jobs.job_changes import ChangeListener
from api.jobs.job_events import JobEvent, order_of
from api.problems.catalogue import Problems
from api.problems.problem import Problem
from shared.background import cancel_all
from shared.errors import QueueUnavailable, QueueUnreadable
from shared.queue.queue import Queue

_RECONNECT_S = 0.5

#: The time between two reads of a waiting job's position in the queue.
_POSITION_INTERVAL_S = 2.0

#: Subscribers get an empty batch about this long after the last one: proxies close a connection on which nothing is
#: sent.
_IDLE_S = 15.0


class JobFeed:
    """The events of one job, as a list that grows. Each subscriber has its own position in it, so a slow one needs
    no buffer and delays no other."""

    def __init__(self) -> None:
        self._events: list[JobEvent] = []
        self._queue_position: JobEvent | None = None
        self._grown = asyncio.Event()
        self._woken_at = _now()
        self._is_closed = False

    @property
    def last_id(self) -> str:
        return self._events[-1].id if self._events else ""

    @property
    def has_ended(self) -> bool:
        """True if no more events will come."""
        return self._is_closed or (bool(self._events) and self._events[-1].is_last)

    def add(self, events: list[JobEvent]) -> None:
        if events:
            self._events += events
            self._wake()

    def set_queue_position(self, position: JobEvent | None) -> None:
        """Set where the job waits; None if it does not. Only the latest position counts, and a subscriber that
        reconnects gets it again."""
        if position == self._queue_position:
            return
        self._queue_position = position
        if position:
            self._wake()

    def close(self) -> None:
        """End all subscriptions: no more events can be read."""
        self._is_closed = True
        self._wake()

    def wake_if_idle(self) -> None:
        """Send subscribers an empty batch if the last one is long ago. The caller's timer serves all of them: a timer
        for each would cost a third of what sending an event costs."""
        if _now() - self._woken_at > _IDLE_S:
            self._wake()

    def _wake(self) -> None:
        self._woken_at = _now()
        self._grown.set()
        self._grown = asyncio.Event()

    async def batches(self, after: str = "") -> AsyncIterator[list[JobEvent]]:
        """The events after the one with the id `after`, until the job has ended. A batch holds all events that are
        known by then; it is empty when nothing has happened for long."""
        last_order = order_of(after)
        index = 0
        position: JobEvent | None = None
        while True:
            grown = self._grown
            events = [event for event in self._events[index:] if event.order > last_order]
            index = len(self._events)
            if self._queue_position is not position:
                position = self._queue_position
                events += [position] if position else []
            yield events
            if index == len(self._events):
                if self.has_ended:
                    return
                await grown.wait()


class FeedRegistry:
    """The feeds that have subscribers."""

    def __init__(self, queue: Queue, changes: ChangeListener, max_subscribers: int) -> None:
        self._queue = queue
        self._changes = changes
        self._max_subscribers = max_subscribers
        self._open: dict[str, tuple[JobFeed, asyncio.Task[None]]] = {}
        self._subscribers: Counter[str] = Counter()

    @property
    def subscribers(self) -> int:
        """The number of subscribers of all jobs together."""
        return self._subscribers.total()

    @asynccontextmanager
    async def open(self, job_id: str) -> AsyncIterator[JobFeed]:
        """The feed of a job that exists.

        Raises:
            Problem: there are too many subscribers.
        """
        if self.subscribers >= self._max_subscribers:
            raise Problem(Problems.TOO_MANY_LISTENERS, job_id=job_id)
        if job_id not in self._open:
            feed = JobFeed()
            fill_task = asyncio.create_task(self._fill(feed, job_id))
            fill_task.add_done_callback(lambda _: feed.close())  # else its subscribers would wait for ever
            self._open[job_id] = feed, fill_task
        feed, fill_task = self._open[job_id]
        self._subscribers[job_id] += 1
        try:
            yield feed
        finally:
            self._subscribers[job_id] -= 1
            if not self._subscribers[job_id]:
                del self._open[job_id], self._subscribers[job_id]
                await cancel_all([fill_task])

    async def _fill(self, feed: JobFeed, job_id: str) -> None:
        """Update the feed on every change of the job, until cancelled or until the events cannot be read."""
        with self._changes.watch(job_id) as changed:
            while True:
                feed.wake_if_idle()
                changed.clear()
                try:
                    is_waiting = await self._update(feed, job_id)
                except QueueUnavailable:
                    await asyncio.sleep(_RECONNECT_S)
                    continue
                except QueueUnreadable:
                    return
                with suppress(TimeoutError):
                    async with asyncio.timeout(_POSITION_INTERVAL_S if is_waiting else _IDLE_S):
                        await changed.wait()

    async def _update(self, feed: JobFeed, job_id: str) -> bool:
        """Add the job's new events and its position in the queue. Return True if it waits in the queue."""
        stored = await self._queue.events(job_id, feed.last_id)
        feed.add([JobEvent.read(job_id, event) for event in stored])
        position = None if feed.has_ended else await self._queue.position(job_id)
        feed.set_queue_position(JobEvent(job_id, "", position.name, position.as_dict()) if position else None)
        return position is not None


def _now() -> float:
    return asyncio.get_running_loop().time()
