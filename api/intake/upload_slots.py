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

#: The slowest accepted pace, in bytes a second, on the average since the upload began. GPRS brings 2,500; a microphone
#: that is sent while it records brings 1,500 and more (Opus at 12 kbit/s).
PACE = 1_000.0

#: No upload is refused for its pace before this: lines stall, and telephones change cells.
_GRACE_S = 5.0

#: A client that sends nothing at all for so long has gone, however fast it was before.
_IDLE_S = 30.0

#: How long a whole upload may take: ten minutes of speech, sent while they are recorded …
_RECORDING_S = 600.0

#: … and the largest upload over a bad line of so many bytes a second.
_BAD_LINE = 20_000.0

#: Where slots are needed, an upload that is behind by so much loses its own.
_BEHIND_S = 0.75

#: A new upload waits so long for a slot. Its client knows the outcome within about a second.
_WAIT_S = 0.9

#: How often it looks for one meanwhile.
_CHECK_EVERY_S = 0.05


class UploadSlot:
    """One upload that is being received."""

    def __init__(self, max_bytes: int) -> None:
        self._started_at = _now()
        self._deadline = self._started_at + _RECORDING_S + max_bytes / _BAD_LINE
        self._received = 0
        self._waiting_since = self._started_at
        self._wait: asyncio.Timeout | None = None

    async def next(self, chunks: AsyncIterator[bytes]) -> bytes | None:
        """The next chunk; None behind the last.

        Raises:
            Problem: it did not come in time, or another upload needs the slot.
        """
        self._waiting_since = _now()
        in_pace = self._started_at + _GRACE_S + self._received / PACE
        try:
            async with asyncio.timeout_at(min(in_pace, self._waiting_since + _IDLE_S, self._deadline)) as self._wait:
                chunk = await anext(chunks, None)
        except TimeoutError:
            raise Problem(Problems.UPLOAD_STALLED) from None
        finally:
            self._wait = None
        self._received += len(chunk or b"")
        return chunk

    @property
    def behind_s(self) -> float:
        """By how many seconds it is behind the pace, or has been silent. It is never behind while the server writes to
        the disk."""
        if self._wait is None:
            return 0.0
        behind_pace_s = _now() - self._started_at - self._received / PACE
        return max(behind_pace_s, _now() - self._waiting_since)

    def end(self) -> None:
        """Stop waiting for more."""
        if self._wait is not None:
            with suppress(RuntimeError):  # its own deadline has come in this very moment
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
        await self._wait_until_free()
        slot = UploadSlot(self._max_bytes)
        self._slots.add(slot)
        try:
            yield slot
        finally:
            self._slots.discard(slot)

    async def _wait_until_free(self) -> None:
        """Wait for a moment, the newest first: a client that comes in the middle of a flood need not wait for its
        end."""
        waiter = object()
        self._waiters.append(waiter)
        deadline = _now() + _WAIT_S
        try:
            while self._waiters[-1] is not waiter or not self._is_free():
                if _now() >= deadline:
                    raise Problem(Problems.TOO_MANY_UPLOADS)
                await asyncio.sleep(_CHECK_EVERY_S)
        finally:
            self._waiters.remove(waiter)

    def _is_free(self) -> bool:
        """True if there is a slot, if need be that of the upload furthest behind, which is ended."""
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
