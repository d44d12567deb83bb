"""Upload slots: a slow upload loses its slot to a newcomer, and a fast one never does."""

import asyncio
import functools
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

from api.intake.upload_slots import UploadSlots
from api.problems.problem import Problem


class SkippingLoop(asyncio.SelectorEventLoop):
    """An event loop that moves its clock forward instead of sleeping, so that a test of minutes takes no time and is
    deterministic."""

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


def on_skipping_loop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run a coroutine test on a SkippingLoop."""

    @functools.wraps(test)
    def run(*arguments: Any, **options: Any) -> None:
        with asyncio.Runner(loop_factory=SkippingLoop) as runner:
            runner.run(test(*arguments, **options))

    return run


class Sender:
    """An upload that sends `first` bytes at once and then `size` bytes every `pause_s`, without end."""

    def __init__(self, slots: UploadSlots, size: int, pause_s: float, first: int = 0) -> None:
        self._slots = slots
        self._size = size
        self._pause_s = pause_s
        self._first = first
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
            async with self._slots.acquire() as slot:
                self.accepted_at = clock()
                chunks = self._chunks()
                while await slot.next(chunks) is not None:
                    pass
        except Problem as problem:
            self.refused_at = clock()
            self.code = problem.code


def fast_sender(slots: UploadSlots) -> Sender:
    return Sender(slots, size=10_000, pause_s=0.2)


def silent_sender(slots: UploadSlots) -> Sender:
    return Sender(slots, size=0, pause_s=9_999)


@on_skipping_loop
async def test_an_upload_below_one_kilobyte_per_second_is_ended() -> None:
    """An upload slower than 1 kB/s is ended after 5 s of grace although slots are free, and a faster one goes on."""
    slots = UploadSlots(9, 25_000_000)
    too_slow = Sender(slots, size=500, pause_s=1)
    fast_enough = Sender(slots, size=1_100, pause_s=1)
    await asyncio.sleep(600)
    assert too_slow.code == "upload_stalled"
    assert too_slow.refused_at is not None
    assert 5 < too_slow.refused_at < 11
    assert fast_enough.code is None


@on_skipping_loop
async def test_an_upload_that_has_sent_much_may_pause() -> None:
    """An upload that has sent much may pause for 29 s, as a phone in a tunnel does, but not for 31 s."""
    sender = Sender(UploadSlots(9, 25_000_000), size=0, pause_s=9_999, first=1_000_000)
    await asyncio.sleep(29)
    assert sender.code is None
    await asyncio.sleep(2)
    assert sender.code == "upload_stalled"


@on_skipping_loop
async def test_an_upload_has_a_deadline() -> None:
    """An upload of ten minutes of live speech and one of 25 MB at 20 kB/s have time to finish, and none may take
    longer."""
    slots = UploadSlots(9, 25_000_000)
    live_speech = Sender(slots, size=4_000, pause_s=1)
    slow_line = Sender(slots, size=20_000, pause_s=1)
    await asyncio.sleep(1250)
    assert (live_speech.code, slow_line.code) == (None, None)
    await asyncio.sleep(700)
    assert (live_speech.code, slow_line.code) == ("upload_stalled", "upload_stalled")


@on_skipping_loop
async def test_a_newcomer_gets_the_slot_that_is_furthest_behind() -> None:
    """A newcomer gets the silent upload's slot, the next one the trickling upload's, and the fast upload keeps its
    own."""
    slots = UploadSlots(3, 25_000_000)
    fast_upload = fast_sender(slots)
    slow = Sender(slots, size=200, pause_s=0.4, first=1_000)
    silent_upload = silent_sender(slots)
    await asyncio.sleep(4)
    newcomer = fast_sender(slots)
    await asyncio.sleep(0.01)
    assert (silent_upload.code, slow.code, newcomer.accepted_at is None) == ("upload_stalled", None, False)
    next_newcomer = fast_sender(slots)
    await asyncio.sleep(0.01)
    assert slow.code == "upload_stalled"
    await asyncio.sleep(60)
    assert [sender.code for sender in (fast_upload, newcomer, next_newcomer)] == [None, None, None]


@on_skipping_loop
async def test_a_newcomer_gets_a_slot_whose_deadline_has_passed() -> None:
    """A newcomer gets the slot of an upload whose deadline has passed but whose task has not run yet."""
    slots = UploadSlots(1, 25_000_000)
    late_upload = silent_sender(slots)
    await asyncio.sleep(5 - 5e-10)  # so close to the deadline that the loop wakes up once for both, for this first
    assert late_upload.code is None
    async with slots.acquire():
        pass
    await asyncio.sleep(0)
    assert late_upload.code == "upload_stalled"


@on_skipping_loop
async def test_a_newcomer_is_refused_when_all_uploads_are_fast() -> None:
    """A newcomer is refused within a second when all uploads are fast, and none of them loses its slot."""
    slots = UploadSlots(3, 25_000_000)
    fast_uploads = [fast_sender(slots) for _ in range(3)]
    await asyncio.sleep(1)
    newcomer = fast_sender(slots)
    await asyncio.sleep(1)
    assert newcomer.code == "too_many_uploads"
    assert [sender.code for sender in fast_uploads] == [None, None, None]


@on_skipping_loop
async def test_a_newcomer_gets_a_slot_that_becomes_free() -> None:
    """A newcomer waits a moment, and is accepted when another upload ends meanwhile."""
    slots = UploadSlots(1, 25_000_000)
    async with slots.acquire():
        newcomer = fast_sender(slots)
        await asyncio.sleep(0.5)
        assert (newcomer.accepted_at, newcomer.code) == (None, None)
    await asyncio.sleep(0.1)
    assert newcomer.accepted_at is not None


@on_skipping_loop
async def test_the_newest_upload_is_accepted_first_in_a_flood() -> None:
    """A fast upload among hundreds of silent ones that came before it is accepted within a second."""
    slots = UploadSlots(64, 25_000_000)
    flood = [silent_sender(slots) for _ in range(400)]
    await asyncio.sleep(0.1)
    fast_upload = fast_sender(slots)
    await asyncio.sleep(60)
    assert fast_upload.accepted_at is not None
    assert fast_upload.accepted_at < 1
    assert fast_upload.code is None
    assert {sender.code for sender in flood} == {"upload_stalled", "too_many_uploads"}


@on_skipping_loop
async def test_a_slow_disk_does_not_count_against_the_sender() -> None:
    """An upload is not behind because of the time that the server takes to write it."""

    async def chunks() -> AsyncIterator[bytes]:
        yield bytes(10)

    async with UploadSlots(1, 25_000_000).acquire() as slot:
        await slot.next(chunks())
        await asyncio.sleep(9)  # as a flush does
        assert slot.behind_s == 0
