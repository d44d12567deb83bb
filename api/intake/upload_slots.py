"""Upload slots: a limit on the bodies that are being received at once, and on how slowly each may come.

A client that sends a byte now and then would otherwise keep one of a limited number of slots for ever. An upload loses
its slot when it falls behind a pace that any telephone keeps; and where all slots are taken, a new upload gets that of
the one furthest behind, if any is behind at all.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from api.problems.catalogue import Problems
from api.problems.problem import Problem

#: The slowest accepted pace, in bytes a second, averaged since the upload began. GPRS brings 2,500; a microphone
#: that is sent while it records brings 1,500 and more (Opus at 12 kbit/s).
_MIN_PACE = 1_000.0

#: An upload is not refused for its pace before this: lines stall, and telephones change cells.
_GRACE_S = 5.0

#: A client that sends nothing at all for this long has gone, however fast it was before.
_IDLE_S = 30.0

#: The first part of the time for a whole upload: ten minutes of speech, sent while they are recorded.
_RECORDING_S = 600.0

#: The second part: the largest upload over a bad line, in bytes a second.
_BAD_LINE_PACE = 20_000.0

#: An upload that is this far behind loses its slot to a new one, if no slot is free.
_BEHIND_S = 0.75

#: The time that a new upload waits for a slot. Its client knows the outcome within about a second.
_WAIT_S = 0.9

#: The time between two checks for a slot.
_CHECK_EVERY_S = 0.05


class UploadSlot:
    """One upload that is being received."""

    def __init__(self, max_bytes: int) -> None:
        self._started_at = _now()
        self._deadline = self._started_at + _RECORDING_S + max_bytes / _BAD_LINE_PACE
        self._received = 0
        self._waiting_since = self._started_at
        self._wait: asyncio.Timeout | None = None

    async def next(self, chunks: AsyncIterator[bytes]) -> bytes | None:
        """The next chunk; None after the last.

        Raises:
            Problem: it did not come in time, or another upload needs the slot.
        """
        self._waiting_since = _now()
        pace_deadline = self._started_at + _GRACE_S + self._received / _MIN_PACE
        try:
            async with asyncio.timeout_at(
                min(pace_deadline, self._waiting_since + _IDLE_S, self._deadline)
            ) as self._wait:
                chunk = await anext(chunks, None)
        except TimeoutError:
            raise Problem(Problems.UPLOAD_STALLED) from None
        finally:
            self._wait = None
        self._received += len(chunk or b"")
        return chunk

    @property
    def behind_s(self) -> float:
        """The seconds that the upload is behind the pace, or has been silent; 0 while the server writes to the disk."""
        if self._wait is None:
            return 0.0
        behind_pace_s = _now() - self._started_at - self._received / _MIN_PACE
        return max(behind_pace_s, _now() - self._waiting_since)

    def end(self) -> None:
        """End the wait for the next chunk, as if it had not come in time."""
        if self._wait is not None:
            with suppress(RuntimeError):  # its own deadline has just passed
                self._wait.reschedule(_now())


class UploadSlots:
    """All the slots of this process."""

    def __init__(self, size: int, max_bytes: int) -> None:
        self._size = size
        self._max_bytes = max_bytes
        self._slots: set[UploadSlot] = set()
        self._waiters: list[object] = []

    @asynccontextmanager
    async def acquire(self) -> AsyncIterator[UploadSlot]:
        """Hold a slot until the context ends.

        Raises:
            Problem: all are taken, and no upload is behind.
        """
        await self._wait_for_slot()
        slot = UploadSlot(self._max_bytes)
        self._slots.add(slot)
        try:
            yield slot
        finally:
            self._slots.discard(slot)

    async def _wait_for_slot(self) -> None:
        """Wait for a free slot, which the newest waiter gets first: a client that arrives in a flood of others need not
        wait for its end."""
        waiter = object()
        self._waiters.append(waiter)
        deadline = _now() + _WAIT_S
        try:
            while self._waiters[-1] is not waiter or not self._free_slot():
                if _now() >= deadline:
                    raise Problem(Problems.TOO_MANY_UPLOADS)
                await asyncio.sleep(_CHECK_EVERY_S)
        finally:
            self._waiters.remove(waiter)

    def _free_slot(self) -> bool:
        """Return True if a slot is free, after ending the upload furthest behind if need be."""
        if len(self._slots) < self._size:
            return True
        slowest = max(self._slots, key=lambda slot: slot.behind_s)
        if slowest.behind_s < _BEHIND_S:
            return False
        slowest.end()
        self._slots.discard(slowest)
        return True


def _now() -> float:
    return asyncio.get_running_loop().time()
