"""Recordings that are on their way in: how many at once, and how slowly each may come.

Whoever sends a byte now and then would otherwise keep one of a limited number of places for ever. A place is lost by
falling behind a pace that any telephone keeps; and where all are taken, a newcomer gets the place of whoever is latest,
if anybody is late at all.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from api.problems.render import Problem

#: The slowest pace that is waited for, in bytes a second, on the average since the upload began. GPRS brings 2,500; a
#: microphone that is sent as it is spoken into brings 1,500 and more (Opus at 12 kbit/s).
PACE = 1_000.0

#: Nobody is sent away for being slow before this: lines stall, and telephones change cells.
_GRACE_S = 5.0

#: Whoever sends nothing at all for so long has gone, however fast it was before.
_IDLE_S = 30.0

#: How long a whole upload may take: ten minutes as they are spoken, or the largest one over a bad line.
_SPOKEN_S, _BAD_LINE = 600.0, 20_000.0

#: Where places are needed, whoever is late by so much loses its own. A newcomer waits for somebody to be so late, or to
#: be done, and all in all hears within about a second.
_LATE_S, _PATIENCE_S, _LOOK_EVERY_S = 0.75, 0.9, 0.05


class UploadSlot:
    """One recording that is being received."""

    def __init__(self, max_bytes: int) -> None:
        self._begun = _now()
        self._ends = self._begun + _SPOKEN_S + max_bytes / _BAD_LINE
        self._received = 0
        self._waiting_since = self._begun
        self._wait: asyncio.Timeout | None = None

    async def next(self, chunks: AsyncIterator[bytes]) -> bytes | None:
        """The next piece; None behind the last.

        Raises:
            Problem: it did not come in time, or another upload needs the place.
        """
        self._waiting_since = _now()
        in_pace = self._begun + _GRACE_S + self._received / PACE
        try:
            async with asyncio.timeout_at(min(in_pace, self._waiting_since + _IDLE_S, self._ends)) as self._wait:
                chunk = await anext(chunks, None)
        except TimeoutError:
            raise Problem(408, "upload_stalled", "The upload came too slowly. Send it again.") from None
        finally:
            self._wait = None
        self._received += len(chunk or b"")
        return chunk

    @property
    def late_s(self) -> float:
        """By how many seconds it is behind the pace, or has been silent. Nobody is late while we write to the disk."""
        if self._wait is None:
            return 0.0
        behind_s = _now() - self._begun - self._received / PACE
        return max(behind_s, _now() - self._waiting_since)

    def end(self) -> None:
        """Stop waiting for more."""
        if self._wait is not None:
            with suppress(RuntimeError):  # its own deadline has come in this very moment
                self._wait.reschedule(_now())


class UploadSlots:
    """The places for uploads."""

    def __init__(self, places: int, max_bytes: int) -> None:
        self._places, self._max_bytes = places, max_bytes
        self._arrivals: set[UploadSlot] = set()
        self._newcomers: list[object] = []

    @asynccontextmanager
    async def place(self) -> AsyncIterator[UploadSlot]:
        """Take a place until the context ends.

        Raises:
            Problem: all are taken, and nobody is late.
        """
        await self._until_free()
        arrival = UploadSlot(self._max_bytes)
        self._arrivals.add(arrival)
        try:
            yield arrival
        finally:
            self._arrivals.discard(arrival)

    async def _until_free(self) -> None:
        """Wait for a moment, the newest first: whoever comes in the middle of a flood need not outwait it."""
        newcomer = object()
        self._newcomers.append(newcomer)
        deadline = _now() + _PATIENCE_S
        try:
            while self._newcomers[-1] is not newcomer or not self._is_free():
                if _now() >= deadline:
                    detail = "Too many recordings are being received at once. Try again in a moment."
                    raise Problem(503, "too_many_uploads", detail, {"Retry-After": "1"})
                await asyncio.sleep(_LOOK_EVERY_S)
        finally:
            self._newcomers.remove(newcomer)

    def _is_free(self) -> bool:
        """Whether there is a place, if need be that of whoever is latest."""
        if len(self._arrivals) < self._places:
            return True
        latest = max(self._arrivals, key=lambda arrival: arrival.late_s)
        if latest.late_s < _LATE_S:
            return False
        latest.end()
        self._arrivals.discard(latest)
        return True


def _now() -> float:
    return asyncio.get_running_loop().time()
