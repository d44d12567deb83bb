"""Places for uploads: whoever is slow loses its own, and whoever is not never does."""

import asyncio
import functools
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

from api.intake.upload_slots import UploadSlots
from api.problems.render import Problem


class SkippingLoop(asyncio.SelectorEventLoop):
    """Nobody waits: where all would sleep, the clock is put forward. So a test of minutes takes none, and always goes
    the same way."""

    def __init__(self) -> None:
        super().__init__()
        self._now = 0.0
        selector: Any = self._selector  # type: ignore[attr-defined]
        select = selector.select

        def skip(timeout: float | None) -> Any:
            self._now += timeout or 0
            return select(0)

        selector.select = skip

    def time(self) -> float:
        return self._now


def at_once(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    @functools.wraps(test)
    def run(*arguments: Any, **options: Any) -> None:
        with asyncio.Runner(loop_factory=SkippingLoop) as runner:
            runner.run(test(*arguments, **options))

    return run


class Sender:
    """Sends `first` bytes at once and then `size` every `pause_s`, for ever."""

    def __init__(self, places: UploadSlots, size: int, pause_s: float, first: int = 0) -> None:
        self._places, self._size, self._pause_s, self._first = places, size, pause_s, first
        self.accepted_at: float | None = None
        self.refused_at: float | None = None
        self.code: str | None = None
        self.task = asyncio.create_task(self._send())

    async def _chunks(self) -> AsyncIterator[bytes]:
        yield bytes(self._first)
        while True:
            await asyncio.sleep(self._pause_s)
            yield bytes(self._size)

    async def _send(self) -> None:
        clock = asyncio.get_running_loop().time
        try:
            async with self._places.place() as arrival:
                self.accepted_at = clock()
                chunks = self._chunks()
                while await arrival.next(chunks) is not None:
                    pass
        except Problem as problem:
            self.refused_at, self.code = clock(), problem.code


def fine(places: UploadSlots) -> Sender:
    return Sender(places, size=10_000, pause_s=0.2)


def silent(places: UploadSlots) -> Sender:
    return Sender(places, size=0, pause_s=9_999)


@at_once
async def test_a_trickle_is_ended_and_a_thin_line_is_not() -> None:
    """Without any need for room: what is slower than 1 kB/s ends after 5 s of grace, what is faster goes on."""
    places = UploadSlots(9, 25_000_000)
    trickle, thin = Sender(places, size=500, pause_s=1), Sender(places, size=1_100, pause_s=1)
    await asyncio.sleep(600)
    assert trickle.code == "upload_stalled"
    assert trickle.refused_at is not None
    assert 5 < trickle.refused_at < 11
    assert thin.code is None


@at_once
async def test_what_came_before_counts() -> None:
    """Whoever has sent much may pause longer than the grace, as a telephone in a tunnel does, but not for ever."""
    sender = Sender(UploadSlots(9, 25_000_000), size=0, pause_s=9_999, first=1_000_000)
    await asyncio.sleep(29)
    assert sender.code is None
    await asyncio.sleep(2)
    assert sender.code == "upload_stalled"


@at_once
async def test_a_whole_upload_has_a_deadline() -> None:
    """Ten minutes that are sent as they are spoken fit, and so do 25 MB at 20 kB/s; nothing takes longer than both."""
    places = UploadSlots(9, 25_000_000)
    spoken, bad_line = Sender(places, size=4_000, pause_s=1), Sender(places, size=20_000, pause_s=1)
    await asyncio.sleep(1250)
    assert (spoken.code, bad_line.code) == (None, None)
    await asyncio.sleep(700)
    assert (spoken.code, bad_line.code) == ("upload_stalled", "upload_stalled")


@at_once
async def test_a_newcomer_gets_the_place_of_the_latest() -> None:
    """Of one who is silent, one who trickles and one who is fine, the first two make room, one for each newcomer."""
    places = UploadSlots(3, 25_000_000)
    good = fine(places)
    trickling = Sender(places, size=200, pause_s=0.4, first=1_000)
    nothing = silent(places)
    await asyncio.sleep(4)
    one = fine(places)
    await asyncio.sleep(0.01)
    assert (nothing.code, trickling.code, one.accepted_at is None) == ("upload_stalled", None, False)
    other = fine(places)
    await asyncio.sleep(0.01)
    assert trickling.code == "upload_stalled"
    await asyncio.sleep(60)
    assert [sender.code for sender in (good, one, other)] == [None, None, None]


@at_once
async def test_a_newcomer_gets_a_place_that_is_being_lost() -> None:
    """Where the deadline of the latest has come, but it has not yet heard of it, its place is as good as free."""
    places = UploadSlots(1, 25_000_000)
    latest = silent(places)
    await asyncio.sleep(5 - 5e-10)  # so close before the deadline that the loop awakes once for both, this first
    assert latest.code is None
    async with places.place():
        pass
    await asyncio.sleep(0)
    assert latest.code == "upload_stalled"


@at_once
async def test_where_all_are_fine_a_newcomer_is_sent_away() -> None:
    """It hears so within a second, and nobody loses a place to it."""
    places = UploadSlots(3, 25_000_000)
    there = [fine(places) for _ in range(3)]
    await asyncio.sleep(1)
    newcomer = fine(places)
    await asyncio.sleep(1)
    assert newcomer.code == "too_many_uploads"
    assert [sender.code for sender in there] == [None, None, None]


@at_once
async def test_a_place_that_gets_free_is_taken() -> None:
    """A newcomer waits for a moment, and is served if somebody is done meanwhile."""
    places = UploadSlots(1, 25_000_000)
    async with places.place():
        newcomer = fine(places)
        await asyncio.sleep(0.5)
        assert (newcomer.accepted_at, newcomer.code) == (None, None)
    await asyncio.sleep(0.1)
    assert newcomer.accepted_at is not None


@at_once
async def test_in_a_flood_the_newest_is_served_first() -> None:
    """One good sender among hundreds who came before it is accepted within a second."""
    places = UploadSlots(64, 25_000_000)
    flood = [silent(places) for _ in range(400)]
    await asyncio.sleep(0.1)
    good = fine(places)
    await asyncio.sleep(60)
    assert good.accepted_at is not None
    assert good.accepted_at < 1
    assert good.code is None
    assert {sender.code for sender in flood} == {"upload_stalled", "too_many_uploads"}


@at_once
async def test_writing_to_the_disk_makes_nobody_late() -> None:
    """A slow disk is not the sender's fault: only who is waited for can be late."""

    async def chunks() -> AsyncIterator[bytes]:
        yield bytes(10)

    async with UploadSlots(1, 25_000_000).place() as arrival:
        await arrival.next(chunks())
        await asyncio.sleep(9)  # as a flush does
        assert arrival.late_s == 0
