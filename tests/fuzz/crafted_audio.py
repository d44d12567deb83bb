"""Recordings with false headers, and small files of hours of silence."""

import io
import struct
import zlib
from collections.abc import Callable
from fractions import Fraction

import av
import numpy as np
from av.packet import Packet

from fuzz.mutations import seal_ogg, seeds

HOUR_S = 3600

#: Encoder, sample rate in Hz and FFmpeg's container name of each format that holds long silence in little space.
SILENCE_FORMATS = {
    "flac": ("flac", 16_000, "flac"),
    "ogg": ("libopus", 48_000, "ogg"),
    "webm": ("libopus", 48_000, "webm"),
    "m4a": ("aac", 8_000, "ipod"),
    "mp3": ("libmp3lame", 8_000, "mp3"),
}


def _overwrite(data: bytes, at: int, value: bytes) -> bytes:
    return data[:at] + value + data[at + len(value) :]


def _with_ogg_checksums(data: bytes) -> bytes:
    sealed = bytearray(data)
    seal_ogg(sealed)
    return bytes(sealed)


def wav(*, channels: int = 1, rate_hz: int = 16_000, length_s: float = 2.2) -> bytes:
    data = _overwrite(
        seeds()["wav"], 22, struct.pack("<HII", channels, rate_hz, min(2 * channels * rate_hz, 0xFFFFFFFF))
    )
    return _overwrite(data, data.index(b"data") + 4, struct.pack("<I", int(length_s * 2 * channels * 16_000)))


def flac(data: bytes, *, rate_hz: int = 16_000, length_s: float = 0) -> bytes:
    """A FLAC file with another rate and length in its STREAMINFO; a length of 0 means unknown."""
    return _overwrite(data, 18, (rate_hz << 44 | 15 << 36 | int(length_s * rate_hz)).to_bytes(8, "big"))


def ogg_head(offset: int, value: bytes) -> bytes:
    data = seeds()["ogg"]
    return _with_ogg_checksums(_overwrite(data, data.index(b"OpusHead") + offset, value))


def ogg_length(data: bytes, length_s: float) -> bytes:
    """An Ogg file with another position on its last page, which is its length."""
    return _with_ogg_checksums(_overwrite(data, data.rindex(b"OggS") + 6, struct.pack("<Q", int(length_s * 48_000))))


def webm(data: bytes, element: bytes, value: bytes) -> bytes:
    """A WebM file with another value for the first element of that id."""
    return _overwrite(data, data.index(element) + len(element), value)


def webm_length(data: bytes, length_s: float) -> bytes:
    return webm(data, b"\x44\x89\x88", struct.pack(">d", length_s * 1000))


def m4a(data: bytes, box: bytes, offset: int, *values: int) -> bytes:
    """An M4A file with other 32-bit numbers at `offset` in the box, not counting its header."""
    return _overwrite(data, data.index(box) + 4 + offset, struct.pack(f">{len(values)}I", *values))


def mp3_length(length_s: float) -> bytes:
    """An MP3 file with another count of frames in its Info header."""
    data = seeds()["mp3"]
    return _overwrite(data, data.index(b"Info") + 8, struct.pack(">I", int(length_s * 44_100 / 1152)))


def crowded_m4a() -> bytes:
    """An M4A file that claims 67 million packets of one byte, all in one chunk."""
    data = m4a(seeds()["m4a"], b"stsz", 4, 1, 1 << 26)
    return m4a(data, b"stsc", 12, 1 << 26)


def slow_frames() -> bytes:
    """A Matroska file of 16 kHz in which two frames claim a rate of 1 Hz, and so a duration of 18 hours each."""
    file = io.BytesIO()
    with av.open(file, "w", format="matroska") as container:
        stream = container.add_stream("flac", rate=16_000, layout="mono")
        stream.codec_context.options = {"frame_size": "4096"}
        slow = av.CodecContext.create("flac", "w")
        slow.sample_rate = 1
        slow.layout = "mono"
        slow.format = "s16"
        slow.options = {"frame_size": "65535"}
        slow.time_base = Fraction(1)
        packets = _encode_silence(stream, 16_000, 32_000) + _encode_silence(slow, 1, 2 * 65_535)
        for number, packet in enumerate(packet for packet in packets if packet.size):
            packet.stream = stream
            packet.time_base = Fraction(1, 16_000)
            packet.pts = number * 4096
            packet.dts = packet.pts
            container.mux(packet)
    data = file.getvalue()
    return _overwrite(data, data.index(struct.pack(">HH", 4096, 4096)) + 2, b"\xff\xff")  # STREAMINFO's largest frame


def _encode_silence(encoder: av.AudioStream | av.AudioCodecContext, rate_hz: int, samples: int) -> list[Packet]:
    """Packets of silence."""
    frame = av.AudioFrame.from_ndarray(np.zeros((1, samples), np.int16), "s16", "mono")
    frame.sample_rate = rate_hz
    return [*encoder.encode(frame), *encoder.encode(None)]


def silence(kind: str, length_s: int) -> bytes:
    """A file of silence, of a few kilobytes per hour."""
    codec, rate_hz, container_format = SILENCE_FORMATS[kind]
    file = io.BytesIO()
    with av.open(file, "w", format=container_format) as container:
        stream = container.add_stream(codec, rate=rate_hz, layout="mono")
        block = av.AudioFrame.from_ndarray(np.zeros((1, 10 * rate_hz), np.int16), "s16", "mono")
        block.sample_rate = rate_hz
        for _ in range(length_s // 10):
            container.mux(stream.encode(block))
        container.mux(stream.encode(None))
    return file.getvalue()


def mp3_with_cover(side: int) -> bytes:
    """An MP3 file with a black picture of `side` times `side` pixels before the sound."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    packer = zlib.compressobj(9)
    rows = b"".join(packer.compress(bytes(side + 1)) for _ in range(side)) + packer.flush()
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0))
    picture = b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    body = b"\0image/png\0\x03\0" + picture
    frame = b"APIC" + struct.pack(">I", len(body)) + b"\0\0" + body
    syncsafe_size = bytes(len(frame) >> shift & 127 for shift in (21, 14, 7, 0))
    sound = seeds()["mp3"]
    return b"ID3\x03\0\0" + syncsafe_size + frame + sound[sound.index(b"\xff\xfb") :]


#: The extremes that each format's header can claim: the file, and the error code or the seconds that are decoded.
HEADERS: dict[str, tuple[Callable[[], bytes], str | float]] = {
    "wav of 500 channels": (lambda: wav(channels=500), "undecodable_audio"),
    "wav of 1 GHz": (lambda: wav(rate_hz=10**9), "undecodable_audio"),
    "wav of 1 Hz": (lambda: wav(rate_hz=1), "undecodable_audio"),
    "wav of 10 hours": (lambda: wav(length_s=10 * HOUR_S), 2.2),  # a header written to a pipe claims this too
    "flac of 655 kHz": (lambda: flac(seeds()["flac"], rate_hz=655_350), 2.2),  # its frames have 16 kHz
    "flac of 1 Hz": (lambda: flac(seeds()["flac"], rate_hz=1, length_s=35_200), "audio_too_long"),
    "flac of 10 hours": (lambda: flac(seeds()["flac"], length_s=10 * HOUR_S), "audio_too_long"),
    "ogg of 255 channels": (lambda: ogg_head(9, b"\xff"), "undecodable_audio"),
    "ogg of 0 channels": (lambda: ogg_head(9, b"\0"), "undecodable_audio"),
    "ogg of 1 GHz": (lambda: ogg_head(12, struct.pack("<I", 10**9)), 2.2),  # the rate before encoding; Opus has 48 kHz
    "ogg of 10 hours": (lambda: ogg_length(seeds()["ogg"], 10 * HOUR_S), "audio_too_long"),
    "webm of 255 channels": (lambda: webm(seeds()["webm"], b"\x9f\x81", b"\xff"), 2.2),  # its OpusHead has 1
    "webm of 1 GHz": (lambda: webm(seeds()["webm"], b"\xb5\x88", struct.pack(">d", 1e9)), 2.2),  # as with ogg
    "webm of 10 hours": (lambda: webm_length(seeds()["webm"], 10 * HOUR_S), "audio_too_long"),
    "webm of NaN": (lambda: webm_length(seeds()["webm"], float("nan")), 2.2),
    "webm of infinity": (lambda: webm_length(seeds()["webm"], float("inf")), 2.2),
    "webm of negative length": (lambda: webm_length(seeds()["webm"], -1e300), 2.2),
    "m4a of 500 channels": (lambda: m4a(seeds()["m4a"], b"mp4a", 14, 0, 500 << 16 | 16), 2.2),  # its AAC has 1
    "m4a of 1 GHz": (lambda: m4a(seeds()["m4a"], b"mdhd", 12, 10**9), 2.2),
    "m4a of 10 hours": (lambda: m4a(seeds()["m4a"], b"mdhd", 16, 44_100 * 10 * HOUR_S), 2.2),  # its table has 2.2 s
    "mp3 of 10 hours": (lambda: mp3_length(10 * HOUR_S), 2.2),  # the frames are counted
}
