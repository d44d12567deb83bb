"""Limits on what a header claims and on what a small file unpacks to, in time and in memory."""

import resource
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest

from fuzz import crafted_audio
from fuzz.crafted_audio import HEADERS
from fuzz.memory import peak_bytes, reset_peak
from fuzz.mutations import seeds
from shared.errors import CascadeError, UndecodableAudio
from stt_worker import audio
from stt_worker.audio import decode
from stt_worker.memory_limit import memory_ceiling

LIMIT_S = 30

#: The most memory that decoding a recording of LIMIT_S may take.
MOST_BYTES = 48 << 20

LONG_S = 300


def decode_in_bounded_memory(path: Path, data: bytes, limit_s: float = LIMIT_S) -> float | str:
    """The decoded length in seconds or the error's code, after asserting that little memory was used."""
    path.write_bytes(data)
    reset_peak()
    peak_before = peak_bytes()
    try:
        result: float | str = decode(path, limit_s).size / 16_000
    except CascadeError as error:
        result = error.code
    assert peak_bytes() - peak_before < MOST_BYTES
    return result


@pytest.mark.parametrize("case", HEADERS)
def test_a_false_header_is_refused_or_ignored(tmp_path: Path, case: str) -> None:
    """A header with absurd lengths, channels or rates is refused, or ignored where the sound itself gives other
    values."""
    make_file, expected = HEADERS[case]
    result = decode_in_bounded_memory(tmp_path / "recording", make_file())
    assert result == expected if isinstance(expected, str) else result == pytest.approx(expected, abs=0.05)


SHORT_CLAIMS: dict[str, Callable[[bytes], bytes]] = {
    "flac": lambda data: crafted_audio.flac(data, length_s=1),
    "flac of unknown length": lambda data: crafted_audio.flac(data),
    "ogg": lambda data: crafted_audio.ogg_length(data, 1),
    "webm": lambda data: crafted_audio.webm_length(data, 1),
    "m4a": lambda data: crafted_audio.m4a(data, b"mdhd", 16, 8000),
    "mp3": lambda data: data,  # the header's length is not used
}


@pytest.mark.parametrize("claims", SHORT_CLAIMS)
def test_a_long_silence_that_claims_to_be_short_is_decoded_up_to_the_limit(
    tmp_path: Path, claims: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Decoding of five minutes of silence whose header claims one second stops right after the limit of 30 s."""
    data = SHORT_CLAIMS[claims](crafted_audio.silence(claims.split()[0], LONG_S))
    assert len(data) < 1_000_000
    decoded = []
    whole = audio._resample_frame
    monkeypatch.setattr(
        audio, "_resample_frame", lambda *args: [decoded.append(part.size) or part for part in whole(*args)]
    )
    assert decode_in_bounded_memory(tmp_path / "recording", data) == "audio_too_long"
    assert sum(decoded) < (LIMIT_S + 5) * 16_000  # a frame of flac may last four seconds


@pytest.mark.parametrize("kind", ["flac", "ogg", "webm", "m4a"])
def test_a_long_silence_with_an_honest_header_is_not_decoded(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file whose header states its five minutes is refused without decoding a frame."""
    monkeypatch.setattr(
        audio, "_decode_frames", lambda *_: pytest.fail("decoded although the header states the length")
    )
    assert decode_in_bounded_memory(tmp_path / "recording", crafted_audio.silence(kind, LONG_S)) == "audio_too_long"


def test_a_table_of_millions_of_packets_takes_little_memory(tmp_path: Path) -> None:
    """An M4A file of 20 kB with a table of 67 million packets is refused in little memory; it once took 2.4 GB and 8
    s."""
    assert decode_in_bounded_memory(tmp_path / "recording", crafted_audio.crowded_m4a()) in (
        "undecodable_audio",
        "empty_audio",
    )


def test_a_frame_that_lasts_hours_is_refused(tmp_path: Path) -> None:
    """A frame of 1 Hz behind a header of 16 kHz is refused; 741 bytes once grew to 2 GB in the resampler."""
    data = crafted_audio.slow_frames()
    assert len(data) < 1000
    (tmp_path / "recording").write_bytes(data)
    with pytest.raises(UndecodableAudio, match="sample rate"):
        decode(tmp_path / "recording", LIMIT_S)


def test_a_cover_is_not_decoded(tmp_path: Path) -> None:
    """A cover picture of 250 kB, which unpacks to 250 MB, is not decoded, and the sound beside it is."""
    assert decode_in_bounded_memory(tmp_path / "recording", crafted_audio.mp3_with_cover(16_000)) == pytest.approx(
        2.2, abs=0.05
    )


def test_an_unusual_codec_is_refused(tmp_path: Path) -> None:
    """A supported container with an unusual codec is refused, since only usual codecs are decoded."""
    with av.open(str(tmp_path / "recording"), "w", format="matroska") as container:
        stream = container.add_stream("ac3", rate=44_100, layout="mono")
        container.mux([*stream.encode(_tone(44_100)), *stream.encode(None)])
    with pytest.raises(UndecodableAudio):
        decode(tmp_path / "recording", LIMIT_S)


@pytest.mark.parametrize(
    ("container_format", "codec"),
    [
        ("mp4", "alac"),
        ("mp4", "libopus"),
        ("matroska", "pcm_f32le"),
        ("wav", "pcm_alaw"),
        ("wav", "pcm_mulaw"),
        ("wav", "pcm_u8"),
        ("wav", "pcm_s24le"),
        ("wav", "adpcm_ms"),
        ("wav", "adpcm_ima_wav"),
        ("mp3", "libmp3lame"),
        ("mov", "pcm_s16be"),
    ],
)
def test_the_codecs_of_phones_and_recorders_are_decoded(tmp_path: Path, container_format: str, codec: str) -> None:
    """A recording in each codec that phones and recorders write is decoded."""
    with av.open(str(tmp_path / "recording"), "w", format=container_format) as container:
        stream = container.add_stream(codec, rate=8000, layout="mono")
        container.mux([*stream.encode(_tone(8000)), *stream.encode(None)])
    assert decode(tmp_path / "recording", LIMIT_S).size == pytest.approx(16_000, abs=2_500)


def test_a_packet_of_too_many_samples_is_skipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A packet above the limit of samples is skipped, as a lossless codec may put 15 minutes of silence into one."""
    (tmp_path / "recording").write_bytes(seeds()["flac"])
    assert decode(tmp_path / "recording", LIMIT_S).size == 35_200
    monkeypatch.setattr(audio, "_MAX_PACKET_SAMPLES", 1151)
    assert decode(tmp_path / "recording", LIMIT_S).size == 35_200 % 1152  # the last one is shorter


def test_the_memory_limit_holds_and_is_lifted_again() -> None:
    """An allocation above the memory limit raises MemoryError, and succeeds once the limit is lifted."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    with pytest.raises(MemoryError), memory_ceiling(16 << 20):
        np.empty(64 << 20, np.uint8)
    assert resource.getrlimit(resource.RLIMIT_AS) == before
    assert np.empty(64 << 20, np.uint8).size


def test_the_memory_limit_keeps_a_lower_one() -> None:
    """A memory limit that the operator has set lower stays in force."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    with memory_ceiling(1 << 30):
        lower, _ = resource.getrlimit(resource.RLIMIT_AS)
        with memory_ceiling(1 << 40):
            assert resource.getrlimit(resource.RLIMIT_AS) == (lower, hard)
    assert resource.getrlimit(resource.RLIMIT_AS) == (soft, hard)


def _tone(rate_hz: int) -> av.AudioFrame:
    samples = (np.sin(np.arange(rate_hz) / 9) * 9000).astype(np.int16)
    frame = av.AudioFrame.from_ndarray(samples[None], "s16", "mono")
    frame.sample_rate = rate_hz
    return frame
