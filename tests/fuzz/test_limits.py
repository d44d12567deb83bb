"""What a header claims and what a small file unpacks to: the limits hold, and memory with them."""

import resource
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest

from fuzz import crafted_audio
from fuzz.crafted_audio import HEADERS
from fuzz.memory import forget_peak, peak_bytes
from fuzz.mutations import seeds
from shared.errors import CascadeError, UndecodableAudio
from stt_worker import audio
from stt_worker.audio import decode
from stt_worker.memory_limit import memory_ceiling

LIMIT_S = 30
MOST_BYTES = 48 << 20

LONG_S = 300


def heard(path: Path, data: bytes, limit_s: float = LIMIT_S) -> float | str:
    """The length in seconds, or the code of the error; in bounded memory either way."""
    path.write_bytes(data)
    forget_peak()
    before = peak_bytes()
    try:
        result: float | str = decode(path, limit_s).size / 16_000
    except CascadeError as error:
        result = error.code
    assert peak_bytes() - before < MOST_BYTES
    return result


@pytest.mark.parametrize("forged", HEADERS)
def test_a_header_that_lies_is_found_out(tmp_path: Path, forged: str) -> None:
    """Absurd lengths, channels and rates are refused at once, or not believed where the sound itself says otherwise."""
    make, expected = HEADERS[forged]
    found = heard(tmp_path / "recording", make())
    assert found == expected if isinstance(expected, str) else found == pytest.approx(expected, abs=0.05)


CLAIM_LESS: dict[str, Callable[[bytes], bytes]] = {
    "flac": lambda data: crafted_audio.flac(data, length_s=1),
    "flac of unknown length": lambda data: crafted_audio.flac(data),
    "ogg": lambda data: crafted_audio.ogg_length(data, 1),
    "webm": lambda data: crafted_audio.webm_length(data, 1),
    "m4a": lambda data: crafted_audio.m4a(data, b"mdhd", 16, 8000),
    "mp3": lambda data: data,  # as written it says nothing that is believed
}


@pytest.mark.parametrize("claims", CLAIM_LESS)
def test_a_long_silence_that_claims_to_be_short_is_decoded_up_to_the_limit(
    tmp_path: Path, claims: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Five minutes in a few kilobytes are given up after the first half."""
    data = CLAIM_LESS[claims](crafted_audio.silence(claims.split()[0], LONG_S))
    assert len(data) < 1_000_000
    decoded = []
    whole = audio._resample_frame
    monkeypatch.setattr(
        audio, "_resample_frame", lambda *args: [decoded.append(part.size) or part for part in whole(*args)]
    )
    assert heard(tmp_path / "recording", data) == "audio_too_long"
    assert sum(decoded) < (LIMIT_S + 5) * 16_000  # a frame of flac may last four seconds


@pytest.mark.parametrize("kind", ["flac", "ogg", "webm", "m4a"])
def test_a_long_silence_that_says_so_is_not_decoded(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its header is enough."""
    monkeypatch.setattr(audio, "_decode_frames", lambda *_: pytest.fail("decoded although the header said enough"))
    assert heard(tmp_path / "recording", crafted_audio.silence(kind, LONG_S)) == "audio_too_long"


def test_a_table_of_millions_of_packets_takes_no_memory(tmp_path: Path) -> None:
    """An m4a of 20 kB made the decoder take 2.4 GB and eight seconds for a table of what is not there."""
    assert heard(tmp_path / "recording", crafted_audio.crowded_m4a()) in ("undecodable_audio", "empty_audio")


def test_a_frame_that_lasts_hours_is_refused(tmp_path: Path) -> None:
    """Frames of 1 Hz behind an honest header grew to 2 GB in the resampler, out of 741 bytes."""
    data = crafted_audio.slow_frames()
    assert len(data) < 1000
    (tmp_path / "recording").write_bytes(data)
    with pytest.raises(UndecodableAudio, match="sample rate"):
        decode(tmp_path / "recording", LIMIT_S)


def test_a_cover_is_not_decoded(tmp_path: Path) -> None:
    """A picture of 250 kB unpacked to 250 MB, only to learn its size; the sound beside it is heard all the same."""
    assert heard(tmp_path / "recording", crafted_audio.mp3_with_cover(16_000)) == pytest.approx(2.2, abs=0.05)


def test_a_seldom_used_codec_is_refused(tmp_path: Path) -> None:
    """A container that is accepted may hold any of hundreds of codecs; only the usual ones are decoded."""
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
def test_what_telephones_and_recorders_write_is_decoded(tmp_path: Path, container_format: str, codec: str) -> None:
    """The list of codecs is not so short that it refuses what people have."""
    with av.open(str(tmp_path / "recording"), "w", format=container_format) as container:
        stream = container.add_stream(codec, rate=8000, layout="mono")
        container.mux([*stream.encode(_tone(8000)), *stream.encode(None)])
    assert decode(tmp_path / "recording", LIMIT_S).size == pytest.approx(16_000, abs=2_500)


def test_a_packet_of_too_many_samples_is_stepped_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lossless codec may put a quarter of an hour of silence into one packet; here, 72 ms are too much already."""
    (tmp_path / "recording").write_bytes(seeds()["flac"])
    assert decode(tmp_path / "recording", LIMIT_S).size == 35_200
    monkeypatch.setattr(audio, "_MAX_FRAME", 1151)
    assert decode(tmp_path / "recording", LIMIT_S).size == 35_200 % 1152  # the last one is shorter


def test_the_ceiling_holds_and_is_lifted_again() -> None:
    """What asks for more is told that there is none, and whoever comes after has what there was before."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    with pytest.raises(MemoryError), memory_ceiling(16 << 20):
        np.empty(64 << 20, np.uint8)
    assert resource.getrlimit(resource.RLIMIT_AS) == before
    assert np.empty(64 << 20, np.uint8).size


def test_the_ceiling_never_lifts_a_lower_one() -> None:
    """An operator's own limit stays in force."""
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
