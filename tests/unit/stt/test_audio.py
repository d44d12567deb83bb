"""Decoding of every accepted format, and rejection of everything that is not audio."""

import io
import wave
from pathlib import Path

import av
import numpy as np
import pytest

from shared.errors import AudioTooLong, EmptyAudio, UndecodableAudio
from stt_worker import audio
from stt_worker.audio import decode
from stt_worker.engine import Samples

LEFT_HZ = 440
RIGHT_HZ = 1000

FORMATS = {
    "wav 8 kHz": ("wav", "pcm_s16le", 8_000, "mono"),
    "wav 16 kHz": ("wav", "pcm_s16le", 16_000, "mono"),
    "wav 44.1 kHz stereo": ("wav", "pcm_s16le", 44_100, "stereo"),
    "wav float": ("wav", "pcm_f32le", 48_000, "mono"),
    "mp3": ("mp3", "libmp3lame", 44_100, "stereo"),
    "mp3 48 kHz mono": ("mp3", "libmp3lame", 48_000, "mono"),
    "m4a": ("mp4", "aac", 44_100, "stereo"),
    "ogg opus": ("ogg", "libopus", 48_000, "mono"),
    "webm opus": ("webm", "libopus", 48_000, "stereo"),
    "webm pcm": ("matroska", "pcm_f32le", 44_100, "stereo"),
    "flac": ("flac", "flac", 44_100, "stereo"),
}


class Pipe(io.BytesIO):
    """A file without seek, like a browser's recorder: the header never gets the recording's length."""

    seek = None  # type: ignore[assignment]
    tell = None  # type: ignore[assignment]


def record(file: Path | Pipe, kind: str, length_s: float = 1.0, bit_rate: int = 64_000) -> None:
    """Write a tone of 440 Hz; a stereo recording has another of 1 kHz in its right channel."""
    container_format, codec, rate, layout = FORMATS[kind]
    time = np.arange(int(rate * length_s)) / rate
    tones = np.stack([0.5 * np.sin(2 * np.pi * hz * time) for hz in (LEFT_HZ, RIGHT_HZ)]).astype(np.float32)
    frame = av.AudioFrame.from_ndarray(tones[: 2 if layout == "stereo" else 1], "fltp", layout)
    frame.sample_rate = rate
    target = str(file) if isinstance(file, Path) else file
    # Without its Xing header, an mp3 does not state its length.
    options = {"write_xing": "0"} if codec == "libmp3lame" else {}
    with av.open(target, "w", format=container_format, container_options=options) as container:
        stream = container.add_stream(codec, rate=rate, layout=layout)
        stream.bit_rate = bit_rate
        container.mux([*stream.encode(frame), *stream.encode(None)])


def strength(samples: Samples, hz: int) -> float:
    """Amplitude of the tone of `hz` in the middle half second."""
    middle = samples[4_000:12_000].astype(np.float64)
    return float(abs(np.exp(-2j * np.pi * hz * np.arange(middle.size) / 16_000) @ middle) * 2 / middle.size)


@pytest.mark.parametrize("kind", FORMATS)
def test_every_accepted_format_is_decoded(tmp_path: Path, kind: str) -> None:
    """Each format becomes mono float32 at 16 kHz, with both channels mixed and its whole length, under any name."""
    path = tmp_path / "rec"
    record(path, kind)
    samples = decode(path, 60)
    assert samples.dtype == np.float32
    assert samples.ndim == 1
    assert samples.size == pytest.approx(16_000, abs=1_200)
    if FORMATS[kind][3] == "stereo":
        assert strength(samples, LEFT_HZ) == pytest.approx(0.25, abs=0.03)
        assert strength(samples, RIGHT_HZ) == pytest.approx(0.25, abs=0.03)
    else:
        assert strength(samples, LEFT_HZ) == pytest.approx(0.5, abs=0.05)


def test_resampling_keeps_the_last_samples(tmp_path: Path) -> None:
    """A second at 44.1 kHz is exactly a second at 16 kHz: the resampler is flushed."""
    record(tmp_path / "rec", "wav 44.1 kHz stereo")
    assert decode(tmp_path / "rec", 60).size == 16_000


def test_truncated_mp3_yields_its_first_half(tmp_path: Path) -> None:
    """Half of a file gives half of the recording, not an error."""
    record(tmp_path / "rec", "mp3", length_s=4)
    whole = (tmp_path / "rec").read_bytes()
    (tmp_path / "rec").write_bytes(whole[: len(whole) // 2])
    assert decode(tmp_path / "rec", 60).size == pytest.approx(2 * 16_000, abs=2_000)


def damage(path: Path, start: float, end: float) -> None:
    """Overwrite the sound of an m4a between two fractions of its length."""
    data = bytearray(path.read_bytes())
    first = data.index(b"mdat") + 4
    length = data.index(b"moov") - 4 - first
    damaged = slice(first + int(length * start), first + int(length * end))
    data[damaged] = b"\xff" * len(data[damaged])
    path.write_bytes(data)


def test_broken_packets_in_the_middle_are_skipped(tmp_path: Path) -> None:
    """The sound after a damaged part is decoded."""
    record(tmp_path / "rec", "m4a", length_s=4)
    damage(tmp_path / "rec", 0.4, 0.5)
    assert 3.2 * 16_000 < decode(tmp_path / "rec", 60).size < 3.9 * 16_000


def test_file_of_only_broken_packets_is_rejected(tmp_path: Path) -> None:
    """A file whose sound cannot be decoded at all is UndecodableAudio, not EmptyAudio."""
    record(tmp_path / "rec", "m4a", length_s=4)
    damage(tmp_path / "rec", 0, 1)
    with pytest.raises(UndecodableAudio):
        decode(tmp_path / "rec", 60)


def test_recording_that_changes_its_format_is_decoded_to_the_end(tmp_path: Path) -> None:
    """Two concatenated mp3 files of different formats are both decoded."""
    record(tmp_path / "first", "mp3")
    record(tmp_path / "second", "mp3 48 kHz mono")
    (tmp_path / "rec").write_bytes((tmp_path / "first").read_bytes() + (tmp_path / "second").read_bytes())
    assert decode(tmp_path / "rec", 60).size == pytest.approx(2 * 16_000, abs=3_000)


def test_tags_in_an_old_encoding_are_ignored(tmp_path: Path) -> None:
    """A recording with a title in Latin-1 is decoded."""
    record(tmp_path / "rec", "wav 44.1 kHz stereo")
    with (tmp_path / "rec").open("ab") as file:
        file.write(b"LIST\x12\x00\x00\x00INFOINAM\x06\x00\x00\x00caf\xe9s\x00")
    assert decode(tmp_path / "rec", 60).size == 16_000


def test_unknown_codec_is_rejected(tmp_path: Path) -> None:
    """A WAV file with an unknown codec is UndecodableAudio."""
    record(tmp_path / "rec", "wav 44.1 kHz stereo")
    data = bytearray((tmp_path / "rec").read_bytes())
    data[20:22] = b"\x99\x99"
    (tmp_path / "rec").write_bytes(data)
    with pytest.raises(UndecodableAudio):
        decode(tmp_path / "rec", 60)


@pytest.mark.parametrize("length", [0, 0x7FFFF000, 0xFFFFFFFF])
@pytest.mark.parametrize("kind", ["wav 16 kHz", "wav 44.1 kHz stereo"])
def test_length_of_a_wav_from_a_pipe_is_that_of_its_bytes(tmp_path: Path, kind: str, length: int) -> None:
    """A WAV from `rec - | curl` has a placeholder as its length, which is ignored."""
    record(tmp_path / "rec", kind)
    data = bytearray((tmp_path / "rec").read_bytes())
    offset = data.index(b"data") + 4
    data[offset : offset + 4] = length.to_bytes(4, "little")
    (tmp_path / "rec").write_bytes(data)
    assert decode(tmp_path / "rec", 60).size == pytest.approx(16_000, abs=50)


@pytest.mark.parametrize(
    "content",
    [
        b"Dear diary, this is no recording.\n" * 100,
        b"RIFF",
        b"RIFF\x14\x00\x00\x00WAVELIST\xff\x00\x00\x00" + bytes(100),  # a chunk larger than the file
        b"fLaC" + bytes(100),
        b"\x1aE\xdf\xa3" + bytes(1000),
        bytes(5000),
    ],
)
def test_files_without_audio_are_rejected(tmp_path: Path, content: bytes) -> None:
    """Bytes that no decoder recognizes are UndecodableAudio, not a library's exception, even in a .wav file."""
    (tmp_path / "rec.wav").write_bytes(content)
    with pytest.raises(UndecodableAudio):
        decode(tmp_path / "rec.wav", 60)


@pytest.mark.parametrize("head", ["ffconcat version 1.0\nfile other.wav\n", "#EXTM3U\n#EXTINF:1,\nother.wav\n"])
def test_play_list_cannot_make_the_worker_read_another_file(tmp_path: Path, head: str) -> None:
    """A play list that names another recording is UndecodableAudio."""
    record(tmp_path / "other.wav", "wav 44.1 kHz stereo")
    (tmp_path / "rec").write_text(head)
    with pytest.raises(UndecodableAudio):
        decode(tmp_path / "rec", 60)


def test_absurd_sample_rate_is_rejected(tmp_path: Path) -> None:
    """A header with a sample rate of 1 Hz is rejected: a few kilobytes would become gigabytes."""
    with wave.open(str(tmp_path / "rec"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(1)
        file.writeframes(bytes(20))
    with pytest.raises(UndecodableAudio, match="sample rate"):
        decode(tmp_path / "rec", 60)


@pytest.mark.parametrize("kind", ["wav 16 kHz", "wav 44.1 kHz stereo", None])
def test_recording_without_a_sample_is_empty(tmp_path: Path, kind: str | None) -> None:
    """A header without samples, or an empty file, is EmptyAudio."""
    path = tmp_path / "rec"
    path.touch()
    if kind:
        with wave.open(str(path), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(FORMATS[kind][2])
    with pytest.raises(EmptyAudio):
        decode(path, 60)


@pytest.mark.parametrize("kind", FORMATS)
def test_length_limit_holds_for_every_format(tmp_path: Path, kind: str) -> None:
    """Three seconds are rejected with a limit of 2.5 s, and the message names the limit."""
    record(tmp_path / "rec", kind, length_s=3)
    with pytest.raises(AudioTooLong, match=r"longer than 2\.5 seconds"):
        decode(tmp_path / "rec", 2.5)
    assert decode(tmp_path / "rec", 3.2).size > 2.9 * 16_000


@pytest.mark.parametrize("kind", ["m4a", "flac", "ogg opus"])
def test_stated_length_is_checked_before_decoding(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A container whose header states too long a recording is rejected without decoding."""
    record(tmp_path / "rec", kind, length_s=3)
    monkeypatch.setattr(
        audio, "_decode_frames", lambda *_: pytest.fail("decoded although the header states the length")
    )
    with pytest.raises(AudioTooLong):
        decode(tmp_path / "rec", 2)


def test_mp3_that_begins_quietly_is_not_mistaken_for_a_longer_one(tmp_path: Path) -> None:
    """An mp3 of 20 s, for which FFmpeg guesses 110 s from the first bit rate, is accepted with a limit of 60 s."""
    record(tmp_path / "quiet", "mp3", length_s=10, bit_rate=32_000)
    record(tmp_path / "loud", "mp3", length_s=10, bit_rate=320_000)
    (tmp_path / "rec").write_bytes((tmp_path / "quiet").read_bytes() + (tmp_path / "loud").read_bytes())
    assert decode(tmp_path / "rec", 60).size == pytest.approx(20 * 16_000, abs=3_000)


def test_container_without_a_length_is_decoded_only_up_to_the_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A minute of a browser's webm, which states no length, is rejected after decoding little more than the limit."""
    pipe = Pipe()
    record(pipe, "webm opus", length_s=60)
    (tmp_path / "rec").write_bytes(pipe.getvalue())
    with av.open(str(tmp_path / "rec")) as container:
        assert container.duration is None
    resampled = []
    resample_frame = audio._resample_frame
    monkeypatch.setattr(audio, "_resample_frame", lambda *args: resampled.append(args) or resample_frame(*args))
    with pytest.raises(AudioTooLong):
        decode(tmp_path / "rec", 1)
    assert 0 < len(resampled) < 60  # frames of 20 ms


def test_missing_file_is_not_an_input_error(tmp_path: Path) -> None:
    """A recording that has been erased raises FileNotFoundError, not UndecodableAudio."""
    with pytest.raises(FileNotFoundError):
        decode(tmp_path / "gone", 60)
