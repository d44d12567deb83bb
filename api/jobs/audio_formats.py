"""The formats in which an answer is streamed: WAV, and ogg or mp3 from a pool of encoders."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Literal, ParamSpec, TypeVar

from api.jobs.wav_file import AudioBlock
from api.problems.catalogue import Problems
from api.problems.problem import Problem

if TYPE_CHECKING:
    from api.jobs.encoder import Encoder

AudioFormat = Literal["wav", "ogg", "mp3"]
EncodedFormat = Literal["ogg", "mp3"]

P = ParamSpec("P")
ResultT = TypeVar("ResultT")

MEDIA_TYPES: dict[AudioFormat, str] = {"wav": "audio/wav", "ogg": "audio/ogg", "mp3": "audio/mpeg"}

WAV_HEADER_BYTES = 44

#: The length in the header of a file whose length is not known yet.
_UNKNOWN_LENGTH = 0xFFFFFFFF

#: Encoding takes a hundredth of the duration of the sound. These threads do nothing else, so that no file read waits
#: for an encoder.
_THREADS = 2

#: Encoders in use at once. One of Opus takes 1.5 MB.
_MAX_ENCODERS = 64


async def stream_wav(blocks: AsyncGenerator[AudioBlock], offset: int) -> AsyncGenerator[bytes]:
    """A WAV file from the byte `offset` on, with the samples from there on as `blocks`. Every byte has the position
    that it will have in the complete file."""
    async with aclosing(blocks):
        first = await anext(blocks)
        if head := _wav_header(first.rate_hz, first.total_bytes)[offset:]:
            yield head
        if first.samples:
            yield first.samples
        async for block in blocks:
            yield block.samples


def _wav_header(rate_hz: int, size: int | None) -> bytes:
    """The header for `size` bytes of samples, mono, 16 bit; None if the size is not known."""
    data_length = _UNKNOWN_LENGTH if size is None else size
    file_length = _UNKNOWN_LENGTH if size is None else WAV_HEADER_BYTES - 8 + size
    numbers = [(16, 4), (1, 2), (1, 2), (rate_hz, 4), (2 * rate_hz, 4), (2, 2), (16, 2)]
    layout = b"".join(number.to_bytes(width, "little") for number, width in numbers)
    riff = b"RIFF" + file_length.to_bytes(4, "little")
    return riff + b"WAVEfmt " + layout + b"data" + data_length.to_bytes(4, "little")


class EncoderPool:
    """Encodes answers to ogg and mp3, off the event loop, a limited number at once."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_THREADS, "encoding")
        self.active = 0
        """The number of encoders in use."""

    async def encode(self, blocks: AsyncGenerator[AudioBlock], audio_format: EncodedFormat) -> AsyncGenerator[bytes]:
        """The encoded sound, each part as soon as the format allows: within a tenth of a second of speech.

        Raises:
            Problem: too many answers are being encoded.
        """
        async with aclosing(blocks):
            first = await anext(blocks)  # a client that still waits for the answer needs no encoder
            async with self._encoder(audio_format, first.rate_hz) as encoder:
                if data := await self._run(encoder.encode, first.samples):
                    yield data
                async for block in blocks:
                    if data := await self._run(encoder.encode, block.samples):
                        yield data
                if data := await self._run(encoder.finish):
                    yield data

    @asynccontextmanager
    async def _encoder(self, audio_format: EncodedFormat, rate_hz: int) -> AsyncIterator["Encoder"]:
        if self.active >= _MAX_ENCODERS:
            raise Problem(Problems.TOO_MANY_ENCODINGS)
        self.active += 1
        try:
            encoder = await self._run(_new_encoder, audio_format, rate_hz)
            try:
                yield encoder
            finally:
                self._threads.submit(encoder.close)  # behind a call that may still be running
        finally:
            self.active -= 1

    async def _run(self, function: Callable[P, ResultT], *args: P.args, **kwargs: P.kwargs) -> ResultT:
        call = partial(function, *args, **kwargs)
        return await asyncio.get_running_loop().run_in_executor(self._threads, call)

    def close(self) -> None:
        self._threads.shutdown()


def _new_encoder(audio_format: EncodedFormat, rate_hz: int) -> "Encoder":
    # Not at the top: FFmpeg's libraries take 30 MB, and WAV needs none of them.
    from api.jobs.encoder import Encoder

    return Encoder(audio_format, rate_hz)
