"""Whatever people record with is decoded; whatever is not audio is refused in plain words."""

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

LEFT_HZ, RIGHT_HZ = 440, 1000

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
    """What a browser records into: nobody can go back in it to write the length into the header."""

    seek = None  # type: ignore[assignment]
    tell = None  # type: ignore[assignment]


def record(file: Path | Pipe, kind: str, length_s: float = 1.0, bit_rate: int = 64_000) -> None:
    """Write a tone of 440 Hz; a stereo recording has another of 1 kHz on its right."""
    container_format, codec, rate, layout = FORMATS[kind]
    time = np.arange(int(rate * length_s)) / rate
    tones = np.stack([0.5 * np.sin(2 * np.pi * hz * time) for hz in (LEFT_HZ, RIGHT_HZ)]).astype(np.float32)
    frame = av.AudioFrame.from_ndarray(tones[: 2 if layout == "stereo" else 1], "fltp", layout)
    frame.sample_rate = rate
    target = str(file) if isinstance(file, Path) else file
    # Without its Xing header, an mp3 does not say how long it is.
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
def test_every_format_that_the_api_promises_is_decoded(tmp_path: Path, kind: str) -> None:
    """Each comes out as mono float32 at 16 kHz, with both channels and its whole length, whatever its file name."""
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


def test_resampling_loses_no_sample_at_the_end(tmp_path: Path) -> None:
    """A second at 44.1 kHz is a second at 16 kHz, with what the resampler held back."""
    record(tmp_path / "rec", "wav 44.1 kHz stereo")
    assert decode(tmp_path / "rec", 60).size == 16_000


def test_a_truncated_mp3_yields_what_is_there(tmp_path: Path) -> None:
    """Half of an upload is half of a recording, not an error."""
    record(tmp_path / "rec", "mp3", length_s=4)
    whole = (tmp_path / "rec").read_bytes()
    (tmp_path / "rec").write_bytes(whole[: len(whole) // 2])
    assert decode(tmp_path / "rec", 60).size == pytest.approx(2 * 16_000, abs=2_000)


def damage(path: Path, start: float, end: float) -> None:
    """Overwrite the sound in an m4a from one part of it to the other, given as fractions."""
    data = bytearray(path.read_bytes())
    first = data.index(b"mdat") + 4
    length = data.index(b"moov") - 4 - first
    at = slice(first + int(length * start), first + int(length * end))
    data[at] = b"\xff" * len(data[at])
    path.write_bytes(data)


def test_broken_packets_in_the_middle_are_stepped_over(tmp_path: Path) -> None:
    """What follows the damage is heard."""
    record(tmp_path / "rec", "m4a", length_s=4)
    damage(tmp_path / "rec", 0.4, 0.5)
    assert 3.2 * 16_000 < decode(tmp_path / "rec", 60).size < 3.9 * 16_000


def test_a_file_of_nothing_but_broken_packets_is_refused(tmp_path: Path) -> None:
    """Sound that is there but cannot be decoded is not called an empty recording."""
    record(tmp_path / "rec", "m4a", length_s=4)
    damage(tmp_path / "rec", 0, 1)
    with pytest.raises(UndecodableAudio):
        decode(tmp_path / "rec", 60)


def test_a_recording_that_changes_its_format_is_decoded_to_the_end(tmp_path: Path) -> None:
    """Two recordings that were glued together are heard one after the other."""
    record(tmp_path / "first", "mp3")
    record(tmp_path / "second", "mp3 48 kHz mono")
    (tmp_path / "rec").write_bytes((tmp_path / "first").read_bytes() + (tmp_path / "second").read_bytes())
    assert decode(tmp_path / "rec", 60).size == pytest.approx(2 * 16_000, abs=3_000)


def test_tags_in_an_old_encoding_do_no_harm(tmp_path: Path) -> None:
    """A title in Latin-1 is not a reason to refuse the sound."""
    record(tmp_path / "rec", "wav 44.1 kHz stereo")
    with (tmp_path / "rec").open("ab") as file:
        file.write(b"LIST\x12\x00\x00\x00INFOINAM\x06\x00\x00\x00caf\xe9s\x00")
    assert decode(tmp_path / "rec", 60).size == 16_000


def test_an_unknown_codec_is_refused(tmp_path: Path) -> None:
    """A container that is known may hold what is not."""
    record(tmp_path / "rec", "wav 44.1 kHz stereo")
    data = bytearray((tmp_path / "rec").read_bytes())
    data[20:22] = b"\x99\x99"
    (tmp_path / "rec").write_bytes(data)
    with pytest.raises(UndecodableAudio):
        decode(tmp_path / "rec", 60)


@pytest.mark.parametrize("length", [0, 0x7FFFF000, 0xFFFFFFFF])
@pytest.mark.parametrize("kind", ["wav 16 kHz", "wav 44.1 kHz stereo"])
def test_a_wav_from_a_pipe_is_as_long_as_its_bytes(tmp_path: Path, kind: str, length: int) -> None:
    """`rec - | curl` cannot go back and write the length; the made-up one is not believed."""
    record(tmp_path / "rec", kind)
    data = bytearray((tmp_path / "rec").read_bytes())
    at = data.index(b"data") + 4
    data[at : at + 4] = length.to_bytes(4, "little")
    (tmp_path / "rec").write_bytes(data)
    assert decode(tmp_path / "rec", 60).size == pytest.approx(16_000, abs=50)


@pytest.mark.parametrize(
    "content",
    [
        b"Dear diary, this is no recording.\n" * 100,
        b"RIFF",
        b"RIFF\x14\x00\x00\x00WAVELIST\xff\x00\x00\x00" + bytes(100),  # a part larger than the whole
        b"fLaC" + bytes(100),
        b"\x1aE\xdf\xa3" + bytes(1000),
        bytes(5000),
    ],
)
def test_what_is_no_audio_is_refused(tmp_path: Path, content: bytes) -> None:
    """Bytes that no decoder knows are the caller's mistake, and no library's exception, even if called .wav."""
    (tmp_path / "rec.wav").write_bytes(content)
    with pytest.raises(UndecodableAudio):
        decode(tmp_path / "rec.wav", 60)


@pytest.mark.parametrize("head", ["ffconcat version 1.0\nfile other.wav\n", "#EXTM3U\n#EXTINF:1,\nother.wav\n"])
def test_a_play_list_cannot_make_the_worker_read_another_file(tmp_path: Path, head: str) -> None:
    """An upload is decoded from its own bytes only."""
    record(tmp_path / "other.wav", "wav 44.1 kHz stereo")
    (tmp_path / "rec").write_text(head)
    with pytest.raises(UndecodableAudio):
        decode(tmp_path / "rec", 60)


def test_an_absurd_header_is_refused(tmp_path: Path) -> None:
    """A sample rate of 1 Hz would blow a few kilobytes up to gigabytes."""
    with wave.open(str(tmp_path / "rec"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(1)
        file.writeframes(bytes(20))
    with pytest.raises(UndecodableAudio, match="sample rate"):
        decode(tmp_path / "rec", 60)


@pytest.mark.parametrize("kind", ["wav 16 kHz", "wav 44.1 kHz stereo", None])
def test_a_recording_without_a_sample_is_empty(tmp_path: Path, kind: str | None) -> None:
    """A header alone, or nothing at all, is told apart from garbage."""
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
def test_the_limit_holds_for_every_format(tmp_path: Path, kind: str) -> None:
    """Three seconds are refused where two and a half are allowed, and the message names the limit."""
    record(tmp_path / "rec", kind, length_s=3)
    with pytest.raises(AudioTooLong, match=r"longer than 2\.5 seconds"):
        decode(tmp_path / "rec", 2.5)
    assert decode(tmp_path / "rec", 3.2).size > 2.9 * 16_000


@pytest.mark.parametrize("kind", ["m4a", "flac", "ogg opus"])
def test_a_stated_length_is_judged_before_decoding(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A container that says how long it is costs nothing to refuse."""
    record(tmp_path / "rec", kind, length_s=3)
    monkeypatch.setattr(audio, "_frames", lambda *_: pytest.fail("decoded although the header said enough"))
    with pytest.raises(AudioTooLong):
        decode(tmp_path / "rec", 2)


def test_an_mp3_that_begins_quietly_is_not_taken_for_a_longer_one(tmp_path: Path) -> None:
    """Without a stated length the decoder guesses 110 s from the first bit rate; these are 20."""
    record(tmp_path / "quiet", "mp3", length_s=10, bit_rate=32_000)
    record(tmp_path / "loud", "mp3", length_s=10, bit_rate=320_000)
    (tmp_path / "rec").write_bytes((tmp_path / "quiet").read_bytes() + (tmp_path / "loud").read_bytes())
    assert decode(tmp_path / "rec", 60).size == pytest.approx(20 * 16_000, abs=3_000)


def test_a_container_without_a_length_is_decoded_up_to_the_limit_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A browser's webm states no length: a minute of it is given up after the first second."""
    pipe = Pipe()
    record(pipe, "webm opus", length_s=60)
    (tmp_path / "rec").write_bytes(pipe.getvalue())
    with av.open(str(tmp_path / "rec")) as container:
        assert container.duration is None
    seen = []
    whole = audio._samples
    monkeypatch.setattr(audio, "_samples", lambda *args: seen.append(args) or whole(*args))
    with pytest.raises(AudioTooLong):
        decode(tmp_path / "rec", 1)
    assert 0 < len(seen) < 60  # frames of 20 ms


def test_a_missing_file_is_not_the_callers_fault(tmp_path: Path) -> None:
    """A recording that was erased meanwhile is an OSError, which the worker tells apart."""
    with pytest.raises(FileNotFoundError):
        decode(tmp_path / "gone", 60)
