"""The formats that an answer is sent in while it is being made."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Literal, ParamSpec, TypeVar

from api.jobs.wav_file import AudioBlock
from api.problems.render import Problem

if TYPE_CHECKING:
    from api.jobs.encoder import Encoder

Format = Literal["wav", "ogg", "mp3"]
Encoded = Literal["ogg", "mp3"]

P = ParamSpec("P")
ResultT = TypeVar("ResultT")

MEDIA_TYPES: dict[Format, str] = {"wav": "audio/wav", "ogg": "audio/ogg", "mp3": "audio/mpeg"}

WAV_HEADER_BYTES = 44

#: What a header says of a length that nobody knows yet.
_UNKNOWN = 0xFFFFFFFF

#: Encoding takes a hundredth of the time that speaking takes. In threads of its own, it keeps nobody from reading
#: files.
_THREADS = 2

#: An encoder of Opus takes one and a half megabytes.
_MOST_ENCODERS = 64
_TOO_MANY = "Too many answers are being sent in ogg or mp3. Try again in a moment, or ask for wav."


async def as_wav(sounds: AsyncGenerator[AudioBlock], offset: int) -> AsyncGenerator[bytes]:
    """A WAV file, from the byte `offset` on. `sounds` begin behind what that skips; each byte lies where it will in the
    whole file."""
    async with aclosing(sounds):
        first = await anext(sounds)
        if head := wav_header(first.rate_hz, first.whole_bytes)[offset:]:
            yield head
        if first.samples:
            yield first.samples
        async for sound in sounds:
            yield sound.samples


def wav_header(rate_hz: int, size: int | None) -> bytes:
    """For so many bytes of samples, mono, 16 bit; None for who knows how many."""
    length = _UNKNOWN if size is None else size
    numbers = [(16, 4), (1, 2), (1, 2), (rate_hz, 4), (2 * rate_hz, 4), (2, 2), (16, 2)]
    form = b"".join(number.to_bytes(size, "little") for number, size in numbers)
    all_length = _UNKNOWN if size is None else WAV_HEADER_BYTES - 8 + size
    return b"RIFF" + all_length.to_bytes(4, "little") + b"WAVEfmt " + form + b"data" + length.to_bytes(4, "little")


class Encoding:
    """Where answers are turned into ogg and mp3: off the event loop, and not too many at once."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_THREADS, "encoding")
        self.encoders = 0
        """In use."""

    async def encoded(self, sounds: AsyncGenerator[AudioBlock], kind: Encoded) -> AsyncGenerator[bytes]:
        """What comes of `sounds`, each as soon as the format allows: within a tenth of a second of speech.

        Raises:
            Problem: too many are being encoded.
        """
        async with aclosing(sounds):
            first = await anext(sounds)  # whoever waits for an answer needs no encoder yet
            async with self._encoder(kind, first.rate_hz) as encoder:
                if data := await self._run(encoder.encode, first.samples):
                    yield data
                async for sound in sounds:
                    if data := await self._run(encoder.encode, sound.samples):
                        yield data
                if data := await self._run(encoder.finish):
                    yield data

    @asynccontextmanager
    async def _encoder(self, kind: Encoded, rate_hz: int) -> AsyncIterator["Encoder"]:
        if self.encoders >= _MOST_ENCODERS:
            raise Problem(503, "too_many_encodings", _TOO_MANY, {"Retry-After": "2"})
        self.encoders += 1
        try:
            encoder = await self._run(_new_encoder, kind, rate_hz)
            try:
                yield encoder
            finally:
                self._threads.submit(encoder.close)  # behind a call that may still be going on
        finally:
            self.encoders -= 1

    async def _run(self, function: Callable[P, ResultT], *args: P.args, **kwargs: P.kwargs) -> ResultT:
        call = partial(function, *args, **kwargs)
        return await asyncio.get_running_loop().run_in_executor(self._threads, call)

    def close(self) -> None:
        self._threads.shutdown()


def _new_encoder(kind: Encoded, rate_hz: int) -> "Encoder":
    # FFmpeg's libraries take 30 MB, which nobody needs who listens to WAV.
    from api.jobs.encoder import Encoder

    return Encoder(kind, rate_hz)
