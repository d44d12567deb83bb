"""Hearing an answer while it is being made: its spoken pieces, one behind the other."""

import asyncio
import io
import wave
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any

from cli.client.async_client import AsyncCascadeClient, Notice
from cli.client.job_events import Event
from cli.errors import CommandError, WrongUsage
from shared.queue.events import RestartedEvent, SegmentEvent

#: So much is handed to the device at once: it is how late an interruption is heard.
_BLOCK_S = 0.1


class Speaker:
    """The default output device.

    Raises:
        WrongUsage: what it needs is not installed, or there is no such device.
    """

    def __init__(self) -> None:
        try:
            import sounddevice
        except ImportError:
            raise WrongUsage("--play needs a package more: pip install sounddevice") from None
        except OSError:
            raise WrongUsage(
                "--play needs the PortAudio library (Debian, Ubuntu: apt-get install libportaudio2)."
            ) from None
        self._sounddevice: Any = sounddevice
        self.errors: tuple[type[Exception], ...] = (sounddevice.PortAudioError, ValueError)
        """What the device raises, also when it is pulled out."""
        try:
            sounddevice.check_output_settings(channels=1, dtype="int16")
        except self.errors:
            raise WrongUsage("--play finds no device to play through. Connect one, or leave it out.") from None
        self._stream: Any = None
        self._rate_hz = 0

    def write(self, samples: bytes, rate_hz: int) -> None:
        """Play; comes back when the device has room for more."""
        if self._stream is not None and rate_hz != self._rate_hz:
            self.close()
        if self._stream is None:
            stream = self._sounddevice.RawOutputStream(samplerate=rate_hz, channels=1, dtype="int16")
            stream.start()
            self._stream, self._rate_hz = stream, rate_hz
        self._stream.write(samples)

    def close(self, *, at_once: bool = False) -> None:
        """Come to the end of what was written, or break off."""
        stream, self._stream = self._stream, None
        if stream is not None:
            (stream.abort if at_once else stream.stop)()
            stream.close()


class Playback:
    """Plays the pieces of one job in order, whatever the order in which they are made, and begins anew with it."""

    def __init__(self, speaker: Speaker, notice: Notice) -> None:
        self._speaker, self._notice = speaker, notice
        # One thread: a device that is told to stop while it is being written to may take the process along.
        self._thread = ThreadPoolExecutor(max_workers=1)
        self._first = self._next = 0
        self._pieces: dict[int, asyncio.Task[bytes]] = {}
        self._grown = asyncio.Event()
        self._is_complete = False

    @asynccontextmanager
    async def of(self, server: AsyncCascadeClient, job_id: str) -> AsyncIterator[None]:
        """Play, until the block is left."""
        self._fetch = partial(server.segment, job_id)
        self._playing = asyncio.create_task(self._play())
        try:
            yield
        finally:
            for task in (self._playing, *self._pieces.values()):
                task.cancel()
            await asyncio.gather(self._playing, *self._pieces.values(), return_exceptions=True)

    def hear(self, event: Event) -> None:
        """Take in what happens to the job."""
        index = event.data.get("first" if event.name == RestartedEvent.name else "index")
        if event.name == SegmentEvent.name and isinstance(index, int) and index >= self._next:
            self._pieces[index] = asyncio.create_task(self._fetch(index))
        elif event.name == RestartedEvent.name and isinstance(index, int):
            for old in [old for old in self._pieces if old < index]:
                self._pieces.pop(old).cancel()
            self._first = self._next = index
        self._grown.set()

    async def finish(self) -> None:
        """Come to the end of an answer that is complete."""
        self._is_complete = True
        self._grown.set()
        await self._playing

    async def _play(self) -> None:
        try:
            while True:
                self._grown.clear()
                if self._next in self._pieces:
                    await self._play_next()
                elif self._is_complete:
                    await self._on_device(self._speaker.close)
                    return
                else:
                    await self._grown.wait()
        except self._speaker.errors:
            self._notice("The device plays no more; the answer is not heard to its end.")
        finally:
            await self._break_off()

    async def _play_next(self) -> None:
        first = self._first
        piece = self._pieces.pop(self._next)
        self._next += 1
        try:
            samples, rate_hz = _content(await piece)
        except (CommandError, wave.Error, EOFError) as error:
            if first == self._first:  # else it was withdrawn, and nothing is missing
                self._notice(f"A piece of the answer cannot be heard. {error}")
            return
        block = 2 * int(rate_hz * _BLOCK_S)
        for begin in range(0, len(samples), block):
            if first != self._first:
                await self._break_off()
                return
            await self._on_device(self._speaker.write, samples[begin : begin + block], rate_hz)

    async def _break_off(self) -> None:
        with suppress(*self._speaker.errors):
            await self._on_device(partial(self._speaker.close, at_once=True))

    async def _on_device(self, act: Callable[..., None], *values: object) -> None:
        await asyncio.get_running_loop().run_in_executor(self._thread, act, *values)


def _content(wav: bytes) -> tuple[bytes, int]:
    with wave.open(io.BytesIO(wav)) as file:
        return file.readframes(file.getnframes()), file.getframerate()
