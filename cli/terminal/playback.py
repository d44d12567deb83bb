"""Playing an answer while it is generated: its segments, one after the other."""

import asyncio
import io
import wave
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any

from cli.client.async_client import AsyncCascadeClient, Notify
from cli.client.job_events import JobEvent
from cli.errors import CommandError, UsageError
from shared.queue.events import RestartedEvent, SegmentEvent

#: How much is written to the device at a time, which is how long an interrupted answer plays on.
_BLOCK_S = 0.1


class Speaker:
    """The default output device.

    Raises:
        UsageError: a library is missing, or there is no such device.
    """

    def __init__(self) -> None:
        try:
            import sounddevice
        except ImportError:
            raise UsageError("--play requires another package: pip install sounddevice") from None
        except OSError:
            raise UsageError(
                "--play requires the PortAudio library (Debian, Ubuntu: apt-get install libportaudio2)."
            ) from None
        self._sounddevice: Any = sounddevice
        self.errors: tuple[type[Exception], ...] = (sounddevice.PortAudioError, ValueError)
        """The exceptions of the device, also when it is unplugged."""
        try:
            sounddevice.check_output_settings(channels=1, dtype="int16")
        except self.errors:
            raise UsageError("--play finds no output device. Connect one, or leave out --play.") from None
        self._stream: Any = None
        self._rate_hz = 0

    def write(self, samples: bytes, rate_hz: int) -> None:
        """Play samples. Returns when the device has room for more."""
        if self._stream is not None and rate_hz != self._rate_hz:
            self.close()
        if self._stream is None:
            stream = self._sounddevice.RawOutputStream(samplerate=rate_hz, channels=1, dtype="int16")
            stream.start()
            self._stream = stream
            self._rate_hz = rate_hz
        self._stream.write(samples)

    def close(self, *, discard: bool = False) -> None:
        """Close the device, after it has played the samples written to it unless `discard` is set."""
        stream, self._stream = self._stream, None
        if stream is not None:
            (stream.abort if discard else stream.stop)()
            stream.close()


class Playback:
    """Plays the segments of one job by their numbers, in whatever order they arrive, and restarts when the answer
    does."""

    def __init__(self, speaker: Speaker, notify: Notify) -> None:
        self._speaker = speaker
        self._notify = notify
        # A single thread: a device that is stopped while another thread writes to it may crash the process.
        self._thread = ThreadPoolExecutor(max_workers=1)
        self._first_index = 0
        """The first segment of the current answer; it changes when the answer is restarted."""
        self._next_index = 0
        self._downloads: dict[int, asyncio.Task[bytes]] = {}
        self._changed = asyncio.Event()
        self._is_complete = False

    @asynccontextmanager
    async def play_job(self, server: AsyncCascadeClient, job_id: str) -> AsyncIterator[None]:
        """Play the job's answer until the block is left."""
        self._download = partial(server.segment, job_id)
        self._player = asyncio.create_task(self._play())
        try:
            yield
        finally:
            for task in (self._player, *self._downloads.values()):
                task.cancel()
            await asyncio.gather(self._player, *self._downloads.values(), return_exceptions=True)

    def take(self, event: JobEvent) -> None:
        """Take an event of the job into account."""
        index = event.data.get("first" if event.name == RestartedEvent.name else "index")
        if event.name == SegmentEvent.name and isinstance(index, int) and index >= self._next_index:
            self._downloads[index] = asyncio.create_task(self._download(index))
        elif event.name == RestartedEvent.name and isinstance(index, int):
            for old_index in [old_index for old_index in self._downloads if old_index < index]:
                self._downloads.pop(old_index).cancel()
            self._first_index = index
            self._next_index = index
        self._changed.set()

    async def finish(self) -> None:
        """Wait until the complete answer has been played."""
        self._is_complete = True
        self._changed.set()
        await self._player

    async def _play(self) -> None:
        try:
            while True:
                self._changed.clear()
                if self._next_index in self._downloads:
                    await self._play_next()
                elif self._is_complete:
                    await self._run_in_thread(self._speaker.close)
                    return
                else:
                    await self._changed.wait()
        except self._speaker.errors:
            self._notify("The output device failed; the rest of the answer is not played.")
        finally:
            await self._abort()

    async def _play_next(self) -> None:
        first_index = self._first_index
        download = self._downloads.pop(self._next_index)
        self._next_index += 1
        try:
            samples, rate_hz = _read_wav(await download)
        except (CommandError, wave.Error, EOFError) as error:
            if first_index == self._first_index:  # else the answer was restarted, and nothing is missing
                self._notify(f"A segment of the answer cannot be played. {error}")
            return
        block_bytes = 2 * int(rate_hz * _BLOCK_S)
        for begin in range(0, len(samples), block_bytes):
            if first_index != self._first_index:
                await self._abort()
                return
            await self._run_in_thread(self._speaker.write, samples[begin : begin + block_bytes], rate_hz)

    async def _abort(self) -> None:
        with suppress(*self._speaker.errors):
            await self._run_in_thread(partial(self._speaker.close, discard=True))

    async def _run_in_thread(self, function: Callable[..., None], *arguments: object) -> None:
        await asyncio.get_running_loop().run_in_executor(self._thread, function, *arguments)


def _read_wav(wav: bytes) -> tuple[bytes, int]:
    with wave.open(io.BytesIO(wav)) as file:
        return file.readframes(file.getnframes()), file.getframerate()
