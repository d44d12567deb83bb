"""An answer as it is heard while it is being made: the sound of its segments, one after the other.

What comes is, sample for sample, what the whole file will hold: whoever was cut off goes on where it was, from the
segments or from the file.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

from api.jobs.job_events import Event
from api.jobs.job_feed import FeedRegistry, JobFeed
from api.jobs.wav_file import AudioBlock, WavFile
from api.problems.render import Problem
from api.responses.audio_file import no_answer, no_such_range, removed
from shared.errors import JobNotFound, QueueUnavailable
from shared.queue.events import CompletedEvent, RestartedEvent, SegmentEvent
from shared.queue.queue import Queue
from shared.storage.storage import Storage


def begun_anew() -> Problem:
    """The refusal where a part was asked for of an answer that is no more."""
    detail = "The answer has begun anew since. Ask for it without an offset, and forget what came before."
    return Problem(412, "answer_restarted", detail)


class AnswerAudioStream:
    """One listener's way through an answer."""

    def __init__(
        self,
        feeds: FeedRegistry,
        queue: Queue,
        storage: Storage,
        job_id: str,
        start: int = 0,
        generation: int | None = None,
    ) -> None:
        """The first `start` bytes of samples are known to the listener already, from the answer `generation` if that is
        given."""
        self.generation = 0
        """The index of the answer's first segment: one that begins anew has another."""
        self._feeds, self._queue, self._storage, self._job_id = feeds, queue, storage, job_id
        self._start, self._wanted = start, generation
        self._names: dict[int, str] = {}
        self._heard = 0
        self._position = 0
        self._rate_hz: int | None = None

    async def sounds(self) -> AsyncGenerator[AudioBlock]:
        """Each piece as soon as it is there.

        Raises:
            CascadeError, Problem: the job ended without an answer, or began another one. Whoever has been sent some of
                it must be cut off, so as to know.
        """
        async with self._feeds.open(self._job_id) as feed, aclosing(self._segments(feed)) as segments:
            async for file in segments:
                with file:
                    begin, self._position = self._position, self._position + file.size
                    async for sound in _blocks(file, max(self._start - begin, 0)):
                        yield sound
        with await self._whole() as file:
            if not self._position:
                yield AudioBlock(file.rate_hz, b"", whole_bytes=file.size)  # even an answer without a sound has a rate
            async for sound in _blocks(file, max(self._position, self._start)):
                yield sound

    async def _segments(self, feed: JobFeed) -> AsyncGenerator[WavFile]:
        """Those that are, one by one, the next piece of the whole, until no more will come or the whole is there."""
        async for events in feed.batches():
            self._note(events)
            if events and events[-1].name == CompletedEvent.name:
                break
            while name := self._names.pop(self.generation + self._heard, None):
                self._check_generation()
                self._heard += 1
                if file := await asyncio.to_thread(self._next_piece, name):
                    yield file
        self._check_generation()

    def _note(self, events: list[Event]) -> None:
        """Take up all that is known before a segment is: an answer may have begun anew long ago."""
        for event in events:
            if event.name == SegmentEvent.name:
                self._names[event.data["index"]] = event.data["path"]
            elif event.name == RestartedEvent.name:
                if self._heard:
                    raise begun_anew()
                self.generation = event.data["first"]

    def _check_generation(self) -> None:
        if self._wanted not in (None, self.generation):
            raise begun_anew()

    def _next_piece(self, name: str) -> WavFile | None:
        """The next segment. None, where it is not simply the next piece of the whole file: it has another rate, or has
        been removed, since the whole is there. Then the listener must wait for that."""
        try:
            file = WavFile(self._storage.open_segment(name))
        except FileNotFoundError:
            self._rate_hz = 0
            return None
        if self._rate_hz is None:
            self._rate_hz = file.rate_hz
        if file.rate_hz != self._rate_hz:
            self._rate_hz = 0
            file.close()
            return None
        return file

    async def _whole(self) -> WavFile:
        job = await self._queue.job(self._job_id)
        if job is None:
            raise JobNotFound
        if not job.has_ended:  # it is tried again since; or the feed could not be read
            raise QueueUnavailable
        if job.audio_path is None:
            raise no_answer(self._job_id)
        try:
            file = await asyncio.to_thread(self._open_answer)
        except FileNotFoundError:
            raise removed() from None
        if self._start > file.size:
            file.close()
            raise no_such_range(file.size)
        return file

    def _open_answer(self) -> WavFile:
        return WavFile(self._storage.open_answer(self._job_id))


async def _blocks(file: WavFile, position: int) -> AsyncIterator[AudioBlock]:
    while position < file.size and (sound := await asyncio.to_thread(file.read, position)).samples:
        position += len(sound.samples)
        yield sound
