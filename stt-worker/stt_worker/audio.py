"""Decoding of uploaded audio files into samples for the recognizers."""

import wave
from collections.abc import Iterator
from pathlib import Path

import av
import av.error
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import InputContainer
from numpy.typing import NDArray

from shared.errors import AudioTooLong, EmptyAudio, UndecodableAudio
from stt_worker.engine import SAMPLE_RATE_HZ, Samples
from stt_worker.memory_limit import memory_ceiling

#: The containers that FFmpeg may recognize. It supports hundreds, among them playlists that name other files and URLs:
#: an upload could make this process read them.
_CONTAINERS = "wav,mp3,mov,mp4,m4a,ogg,matroska,webm,flac,aac"

#: The decoders that FFmpeg may use: the codecs of the accepted containers and, from pcm_alaw on, those of telephone
#: systems. The hundreds of others are rarely tested and a risk. Pictures and video are not decoded either, not even to
#: learn their size: a cover of 250 kB took 250 MB, and could have taken any number.
# fmt: off
_CODECS = frozenset({
    "opus", "vorbis", "flac", "alac", "aac", "mp3", "mp3float", "mp2", "mp2float", "pcm_u8", "pcm_s16le", "pcm_s16be",
    "pcm_s24le", "pcm_s24be", "pcm_s32le", "pcm_f32le", "pcm_f64le",
    "pcm_alaw", "pcm_mulaw", "adpcm_ima_wav", "adpcm_ms", "gsm_ms",
})
# fmt: on

#: Containers whose header need not hold their length; FFmpeg then guesses it from the bit rate of the beginning. A
#: recording of 90 s that began quietly was taken for 630 s. They are measured by decoding.
_GUESSED_LENGTH = frozenset({"mp3", "aac"})

#: Channels that a recording may have: more than microphones have, fewer than a forged header allocates memory for.
_CHANNELS = range(1, 9)

#: Sample rates that a recording may have, bounded for the same reason.
_RATES_HZ = range(4_000, 192_001)

#: The most samples of each channel that a packet may hold. Lossless codecs pack hours of silence into one.
_MAX_PACKET_SAMPLES = 1 << 20

#: Memory that FFmpeg may allocate besides the decoded samples. It needs a tenth of that, but trusts tables in a header:
#: an m4a of 20 kB that claimed to hold 67 million packets made it take 2.4 GB.
_DECODER_BYTES = 256 << 20

Int16 = NDArray[np.int16]


def decode(path: Path, max_audio_s: float) -> Samples:
    """The recording at `path`, mixed to mono at 16 kHz. A damaged file yields the part that can be decoded.

    Raises:
        UndecodableAudio: the bytes are not audio, under any file name.
        EmptyAudio: the file holds no sample.
        AudioTooLong: it is longer than `max_audio_s`; nothing past the limit has been decoded.
        OSError: the file cannot be read.
    """
    if path.stat().st_size == 0:
        raise EmptyAudio
    max_samples = int(max_audio_s * SAMPLE_RATE_HZ)
    pcm = _read_plain_wav(path, max_samples)
    if pcm is None:
        pcm = _decode_container(path, max_audio_s, max_samples)
    if pcm.size > max_samples:
        raise _too_long_error(max_audio_s)
    if not pcm.size:
        raise EmptyAudio
    # Via 16 bits: both recognizers were trained on such audio, and the conversion clips what is out of range.
    return pcm.astype(np.float32) / np.float32(32768)


def _read_plain_wav(path: Path, max_samples: int) -> Int16 | None:
    """The samples of a WAV file that needs no conversion, at most `max_samples` + 1; else None."""
    with path.open("rb") as file:
        try:
            with wave.open(file) as recording:
                channels, sample_bytes, rate_hz, *_ = recording.getparams()
                if (channels, sample_bytes, rate_hz) != (1, 2, SAMPLE_RATE_HZ):
                    return None
                data = recording.readframes(max_samples + 1)
        except (wave.Error, EOFError, RuntimeError):
            return None  # damaged or unusual, which FFmpeg may still decode (RuntimeError is the chunk reader's)
    # No samples may also mean a length of 0 written by a program that could not seek back.
    return np.frombuffer(data[: len(data) // 2 * 2], "<i2") if data else None


def _decode_container(path: Path, max_audio_s: float, max_samples: int) -> Int16:
    """Decode any accepted container with FFmpeg, to at most one chunk past `max_samples`."""
    options = {"format_whitelist": _CONTAINERS, "codec_whitelist": ",".join(_CODECS), "protocol_whitelist": "file"}
    chunks: list[Int16] = []
    size = 0
    try:
        # metadata_errors: tags in an old encoding are no reason to reject a recording.
        with (
            memory_ceiling(_DECODER_BYTES + 4 * max_samples),
            av.open(f"file:{path}", container_options=options, metadata_errors="ignore") as container,
        ):
            stream = _find_audio_stream(container)
            if _stated_length_s(container, stream) > max_audio_s:
                raise _too_long_error(max_audio_s)
            for chunk in _resample(_decode_frames(container, stream)):
                chunks.append(chunk)
                size += chunk.size
                if size > max_samples:
                    break
    except (av.error.FFmpegError, MemoryError) as error:
        raise UndecodableAudio from error
    return np.concatenate(chunks) if chunks else np.empty(0, np.int16)


def _find_audio_stream(container: InputContainer) -> AudioStream:
    if not container.streams.audio:
        raise UndecodableAudio("The file holds no audio.")
    stream = container.streams.audio[0]
    if not stream.codec_context or stream.codec_context.codec.name not in _CODECS:
        raise UndecodableAudio
    if stream.channels not in _CHANNELS or stream.rate not in _RATES_HZ:
        raise _unusual_format_error()
    stream.codec_context.options = {"max_samples": str(_MAX_PACKET_SAMPLES)}
    return stream


def _stated_length_s(container: InputContainer, stream: AudioStream) -> float:
    if container.format.name in _GUESSED_LENGTH:
        return 0
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    return (container.duration or 0) / av.time_base


def _decode_frames(container: InputContainer, stream: AudioStream) -> Iterator[AudioFrame]:
    """Every frame that can be decoded, skipping broken packets, up to the end of a truncated file."""
    has_frames = False
    last_error: av.error.FFmpegError | None = None
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
        except av.error.FFmpegError as error:
            last_error = error
            packet = None
        if packet is None:
            break
        try:
            frames = packet.decode()
        except av.error.FFmpegError as error:
            last_error = error
            continue
        for frame in frames:
            if not isinstance(frame, AudioFrame):
                continue
            # A frame may differ from the header: one of 65,535 samples at 1 Hz became 2 GB at 16 kHz.
            if frame.layout.nb_channels not in _CHANNELS or frame.sample_rate not in _RATES_HZ:
                raise _unusual_format_error()
            has_frames = True
            yield frame
    if last_error and not has_frames:
        raise last_error


def _resample(frames: Iterator[AudioFrame]) -> Iterator[Int16]:
    source_format: tuple[str, str, int] | None = None
    resampler = AudioResampler("s16", "mono", SAMPLE_RATE_HZ)
    for frame in frames:
        previous_format = source_format
        source_format = (frame.format.name, frame.layout.name, frame.sample_rate)
        if previous_format not in (None, source_format):
            # A stream may change its format (two concatenated mp3 files do); a resampler takes only one.
            yield from _resample_frame(resampler, None)
            resampler = AudioResampler("s16", "mono", SAMPLE_RATE_HZ)
        yield from _resample_frame(resampler, frame)
    if source_format:
        yield from _resample_frame(resampler, None)  # flush the recording's last milliseconds


def _resample_frame(resampler: AudioResampler, frame: AudioFrame | None) -> list[Int16]:
    return [output.to_ndarray().reshape(-1).astype(np.int16, copy=False) for output in resampler.resample(frame)]


def _unusual_format_error() -> UndecodableAudio:
    return UndecodableAudio("The audio has an unusual number of channels or sample rate.")


def _too_long_error(max_audio_s: float) -> AudioTooLong:
    return AudioTooLong(f"The recording is longer than {max_audio_s:g} seconds, the most that this service accepts.")
