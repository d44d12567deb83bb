"""An answer as it is heard while it is being made: its segments, one after the other, as one WAV file.

What is sent is, sample for sample, what the whole file will hold, and lies at the same byte: whoever was cut off goes
on where it was, from the segments or from the file.
"""

import asyncio
import wave
from collections.abc import AsyncIterator
from pathlib import Path

from api.audio_file import no_answer, removed
from api.feeds import Feed
from shared.errors import JobNotFound
from shared.queue import Queue
from shared.storage import Storage

HEADER_BYTES = 44

#: What a header says of a length that nobody knows yet.
_UNKNOWN = 0xFFFFFFFF

_BLOCK_BYTES = 1 << 16


class Interrupted(Exception):
    """The answer has begun anew, or has been given up, after some of it had been sent."""


async def spoken(feed: Feed, queue: Queue, storage: Storage, job_id: str, offset: int) -> AsyncIterator[bytes]:
    """The answer's bytes from `offset` on, each as soon as it is there.

    Raises:
        Problem: the job ended without an answer.
        Interrupted: the same, or another answer, when some of it had been sent.
    """
    stream = _Stream(offset)
    first, segments = 0, {}
    async for event in feed.follow():
        match event["event"]:
            case "segment":
                segments[event["index"]] = storage.absolute(event["path"])
                while path := segments.pop(first + stream.segments, None):
                    for piece in await asyncio.to_thread(stream.take, path):
                        yield piece
            case "restarted":
                if stream.segments:
                    raise Interrupted
                first, segments = event["first"], {}
    job = await queue.job(job_id)
    if job is None or job.audio_path is None:
        if stream.segments:
            raise Interrupted
        raise JobNotFound if job is None else no_answer(job_id)
    try:
        whole = storage.absolute(job.audio_path).open("rb")
    except FileNotFoundError:
        raise Interrupted if stream.segments else removed() from None
    with whole as file:
        file.seek(max(stream.position, offset))
        while block := await asyncio.to_thread(file.read, _BLOCK_BYTES):
            yield block


class _Stream:
    """Where a listener is."""

    def __init__(self, offset: int) -> None:
        self.position, self.segments = 0, 0
        self._offset = offset
        self._rate_hz = 0

    def take(self, path: Path) -> list[bytes]:
        """What comes of the next segment. Nothing, where it is not simply the next piece of the whole file: it has
        another rate, or has been removed, since the whole is there. Then the listener must wait for that."""
        try:
            with wave.open(str(path)) as file:
                rate_hz, samples = file.getframerate(), file.readframes(file.getnframes())
        except FileNotFoundError:
            rate_hz = -1
        self._rate_hz = self._rate_hz or rate_hz
        self.segments += 1
        if rate_hz != self._rate_hz or rate_hz < 0:
            self._rate_hz = -1
            return []
        pieces = [header(rate_hz)] if self.position == 0 else []
        return [piece for piece in map(self._from_offset, [*pieces, samples]) if piece]

    def _from_offset(self, piece: bytes) -> bytes:
        begin = max(self._offset - self.position, 0)
        self.position += len(piece)
        return piece[begin:]


def header(rate_hz: int) -> bytes:
    """The head of a WAV file of unknown length, mono, 16 bit."""
    numbers = [(16, 4), (1, 2), (1, 2), (rate_hz, 4), (2 * rate_hz, 4), (2, 2), (16, 2)]
    form = b"".join(number.to_bytes(size, "little") for number, size in numbers)
    length = _UNKNOWN.to_bytes(4, "little")
    return b"RIFF" + length + b"WAVEfmt " + form + b"data" + length
