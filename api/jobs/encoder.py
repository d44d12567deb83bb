"""Encoding PCM to ogg or mp3, block by block, with FFmpeg's libraries, which `av` includes."""

import threading
from dataclasses import dataclass
from typing import Literal

import av
from av.audio.stream import AudioStream

#: Samples have 16 bits.
_SAMPLE_BYTES = 2


@dataclass(frozen=True)
class _Codec:
    name: Literal["libopus", "libmp3lame"]
    bit_rate: int
    """Bits a second: enough for one voice to sound as it does in the WAV."""

    rates_hz: tuple[int, ...]
    container_options: dict[str, str]


_CODECS = {
    "ogg": _Codec(
        "libopus",
        32_000,
        (48_000,),  # the rate at which every decoder of Opus works
        # In microseconds. Two pages are held back: by default, two seconds of speech.
        {"page_duration": "40000"},
    ),
    "mp3": _Codec(
        "libmp3lame",
        64_000,
        (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000),
        # Without these headers: they are filled in at the end, when a stream has long sent them.
        {"write_xing": "0", "id3v2_version": "0"},
    ),
}


class _Sink:
    """The file that FFmpeg writes to. It has no `seek`, so FFmpeg does not try."""

    def __init__(self) -> None:
        self._data = bytearray()

    def write(self, data: bytes) -> int:
        self._data += data
        return len(data)

    def take(self) -> bytes:
        data = bytes(self._data)
        self._data.clear()
        return data


class Encoder:
    """The encoder of one answer. It blocks, and only `close` may be called while another call runs."""

    def __init__(self, audio_format: Literal["ogg", "mp3"], rate_hz: int) -> None:
        codec = _CODECS[audio_format]
        self._rate_hz = rate_hz
        self._lock = threading.Lock()
        self._sink = _Sink()
        options = codec.container_options | {"flush_packets": "1"}
        self._container = av.open(self._sink, "w", format=audio_format, options=options)
        # A rate that the codec does not have becomes the next higher one, so that nothing of the voice is lost.
        codec_rate_hz = next((rate for rate in codec.rates_hz if rate >= rate_hz), codec.rates_hz[-1])
        self._stream: AudioStream = self._container.add_stream(
            codec.name, rate=codec_rate_hz, layout="mono", bit_rate=codec.bit_rate
        )

    def encode(self, samples: bytes) -> bytes:
        """The bytes that are ready once these samples are encoded."""
        if not samples:
            return b""  # to the codec, an empty frame is the end of the stream
        frame = av.AudioFrame("s16", "mono", len(samples) // _SAMPLE_BYTES, align=1)
        frame.sample_rate = self._rate_hz
        frame.planes[0].update(samples)
        return self._write(frame)

    def finish(self) -> bytes:
        """The last bytes; the encoder is closed."""
        rest = self._write(None)
        self.close()
        return rest + self._sink.take()

    def _write(self, frame: av.AudioFrame | None) -> bytes:
        with self._lock:
            self._container.mux(self._stream.encode(frame))  # resampled if need be
            return self._sink.take()

    def close(self) -> None:
        """Free all memory now: FFmpeg's objects refer to each other, so Python would free them late."""
        with self._lock:
            self._container.close()
