"""The audio of an answer while it is being made: the samples of its segments, one after the other.

The bytes are, sample for sample, those of the complete file: a listener that was cut off continues where it was, from
the segments or from the file.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

from api.jobs.job_events import JobEvent
from api.jobs.job_feed import JobFeed
from api.jobs.services import JobServices
from api.jobs.wav_file import AudioBlock, WavFile
from api.problems.catalogue import Problems
from api.problems.job_problems import NoAudioReason
from api.problems.problem import Problem
from shared.errors import JobNotFound, QueueUnavailable
from shared.queue.events import CompletedEvent, RestartedEvent, SegmentEvent


class AnswerAudioStream:
    """One listener's stream of an answer."""

    def __init__(self, services: JobServices, job_id: str, start: int = 0, generation: int | None = None) -> None:
        """The listener has the first `start` bytes of samples already; with a `generation`, an answer of
        another one is refused."""
        self.generation = 0
        """The index of the answer's first segment, which changes when the answer is restarted."""
        self._feeds = services.feeds
        self._queue = services.queue
        self._storage = services.storage
        self._job_id = job_id
        self._start = start
        self._required_generation = generation
        self._segment_names: dict[int, str] = {}
        self._sent_segments = 0
        self._position = 0
        self._rate_hz: int | None = None
        self._needs_complete_file = False

    async def blocks(self) -> AsyncGenerator[AudioBlock]:
        """Each block as soon as it is available.

        Raises:
            CascadeError, Problem: the job ended without an answer, or the answer was restarted. A listener that has
                been sent some of it must be cut off, so that it notices.
        """
        async with self._feeds.open(self._job_id) as feed, aclosing(self._segments(feed)) as segments:
            async for file in segments:
                with file:
                    segment_start = self._position
                    self._position += file.size
                    async for block in _blocks_of(file, max(self._start - segment_start, 0)):
                        yield block
        with await self._complete_file() as file:
            if not self._position:
                yield AudioBlock(file.rate_hz, b"", total_bytes=file.size)  # even an answer without sound has a rate
            async for block in _blocks_of(file, max(self._position, self._start)):
                yield block

    async def _segments(self, feed: JobFeed) -> AsyncGenerator[WavFile]:
        """The segments in order, until the complete file exists or no more will come."""
        async for events in feed.batches():
            self._apply(events)
            if events and events[-1].name == CompletedEvent.name:
                break
            while name := self._segment_names.pop(self.generation + self._sent_segments, None):
                self._check_generation()
                self._sent_segments += 1
                if file := await asyncio.to_thread(self._open_segment, name):
                    yield file
        self._check_generation()

    def _apply(self, events: list[JobEvent]) -> None:
        """Record segments and restarts. All known events are applied before a segment is sent, since the answer may
        have been restarted long ago."""
        for event in events:
            if event.name == SegmentEvent.name:
                self._segment_names[event.data["index"]] = event.data["path"]
            elif event.name == RestartedEvent.name:
                if self._sent_segments:
                    raise Problem(Problems.ANSWER_RESTARTED)
                self.generation = event.data["first"]

    def _check_generation(self) -> None:
        if self._required_generation not in (None, self.generation):
            raise Problem(Problems.ANSWER_RESTARTED)

    def _open_segment(self, name: str) -> WavFile | None:
        """The next segment, or None if the stream cannot go on with it: it has another rate, or was removed because the
        complete file exists. From then on no segment is sent, and the listener waits for the complete file."""
        if self._needs_complete_file:
            return None
        try:
            file = WavFile(self._storage.open_segment(name))
        except FileNotFoundError:
            self._needs_complete_file = True
            return None
        if self._rate_hz is None:
            self._rate_hz = file.rate_hz
        if file.rate_hz != self._rate_hz:
            self._needs_complete_file = True
            file.close()
            return None
        return file

    async def _complete_file(self) -> WavFile:
        job = await self._queue.job(self._job_id)
        if job is None:
            raise JobNotFound
        if not job.has_ended:  # it is being retried, or the feed could not be read
            raise QueueUnavailable
        if job.audio_path is None:
            raise no_audio_problem(NoAudioReason.NO_ANSWER, self._job_id)
        try:
            file = await asyncio.to_thread(self._open_answer)
        except FileNotFoundError:
            raise no_audio_problem(NoAudioReason.REMOVED, self._job_id) from None
        if self._start > file.size:
            file.close()
            raise Problem(Problems.NO_SUCH_RANGE, size=file.size)
        return file

    def _open_answer(self) -> WavFile:
        return WavFile(self._storage.open_answer(self._job_id))


def no_audio_problem(reason: NoAudioReason, job_id: str) -> Problem:
    """The refusal to send the audio of a job that has none."""
    return Problem(Problems.NO_AUDIO, reason=reason.format(job_id=job_id))


async def _blocks_of(file: WavFile, position: int) -> AsyncIterator[AudioBlock]:
    while position < file.size and (block := await asyncio.to_thread(file.read, position)).samples:
        position += len(block.samples)
        yield block
