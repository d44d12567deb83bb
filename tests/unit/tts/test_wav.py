"""Encoding and joining of WAV files."""

import io
import wave
from pathlib import Path

import numpy as np
import pytest

from shared.errors import EngineError
from support.segments import store_segments
from tts_worker.engine import Speech
from tts_worker.wav import encode, join


def tone(seconds: float, rate_hz: int, pitch_hz: float = 440) -> Speech:
    time_s = np.arange(round(seconds * rate_hz)) / rate_hz
    return Speech((10_000 * np.sin(2 * np.pi * pitch_hz * time_s)).astype(np.int16), rate_hz)


def decoded(wav: bytes) -> Speech:
    with wave.open(io.BytesIO(wav), "rb") as source:
        assert (source.getnchannels(), source.getsampwidth()) == (1, 2)
        frames = source.readframes(source.getnframes())
        assert len(frames) == 2 * source.getnframes()
        return Speech(np.frombuffer(frames, np.int16), source.getframerate())


class Pipe(io.RawIOBase):
    """A stream that is not seekable."""

    def __init__(self) -> None:
        self.written = bytearray()

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False

    def write(self, data: bytes) -> int:  # type: ignore[override]
        self.written += data
        return len(data)


def test_encode_keeps_every_sample() -> None:
    """A WAV file has every sample of the speech, at its own rate."""
    speech = tone(0.5, 22_050)
    back = decoded(encode(speech))
    assert back.sample_rate_hz == 22_050
    assert np.array_equal(back.samples, speech.samples)


def test_encode_without_samples_is_a_valid_file() -> None:
    """Speech without samples becomes a WAV file without frames."""
    assert decoded(encode(Speech(np.zeros(0, np.int16), 16_000))).samples.size == 0


def test_followed_by_appends_silence() -> None:
    """A pause appends silence to the speech and changes nothing else."""
    speech = tone(0.5, 22_050)
    longer = speech.followed_by(0.1)
    assert np.array_equal(longer.samples, np.concatenate([speech.samples, np.zeros(2_205, np.int16)]))
    assert longer.duration_s == pytest.approx(0.6)


def test_join_of_one_rate_is_exact(tmp_path: Path) -> None:
    """Segments of one rate are joined without a changed sample: played one by one, they are the same as the whole."""
    first, second, third = tone(3.5, 22_050), tone(0.2, 22_050, 300), tone(0.3, 22_050, 200)
    out = io.BytesIO()
    duration_s = join(store_segments(tmp_path, first, second, third), out)
    joined = decoded(out.getvalue())
    assert np.array_equal(joined.samples, np.concatenate([first.samples, second.samples, third.samples]))
    assert duration_s == len(joined.samples) / 22_050


def test_join_of_one_segment_is_that_segment(tmp_path: Path) -> None:
    """A single segment is joined to an equal file, to the byte."""
    speech = tone(0.3, 16_000)
    out = io.BytesIO()
    assert join(store_segments(tmp_path, speech), out) == pytest.approx(0.3)
    assert out.getvalue() == encode(speech)


def test_join_of_different_rates_keeps_length_and_pitch(tmp_path: Path) -> None:
    """A segment with another rate is resampled to the first one's, with the same length and pitch."""
    out = io.BytesIO()
    duration_s = join(store_segments(tmp_path, tone(0.5, 16_000), tone(1.0, 22_050, 440)), out)
    joined = decoded(out.getvalue())
    assert joined.sample_rate_hz == 16_000
    assert duration_s == pytest.approx(1.5)
    assert len(joined.samples) == 24_000
    expected = tone(1.0, 16_000, 440).samples.astype(int)
    assert np.abs(joined.samples[8_000:].astype(int) - expected)[160:-160].max() < 50


def test_join_to_a_lower_rate_does_not_alias(tmp_path: Path) -> None:
    """A frequency above the lower rate's limit is removed and does not come back as another tone."""
    out = io.BytesIO()
    join(store_segments(tmp_path, tone(0.1, 16_000), tone(1.0, 22_050, 10_000)), out)
    assert np.abs(decoded(out.getvalue()).samples[1_600 + 160 : -160].astype(int)).max() < 50


def test_join_of_loud_speech_does_not_wrap(tmp_path: Path) -> None:
    """Full-scale sound that overshoots at its new rate is clipped: int16 does not wrap around into noise."""
    step = Speech(np.repeat([-32_768, 32_767], 10_000).astype(np.int16), 22_050)
    out = io.BytesIO()
    join(store_segments(tmp_path, tone(0.1, 16_000), step), out)
    samples = decoded(out.getvalue()).samples[1_600 + 20 : -20]
    middle = len(samples) // 2
    assert samples[: middle - 20].max() < 0
    assert samples[middle + 20 :].min() > 0


def test_join_does_not_seek(tmp_path: Path) -> None:
    """Segments are joined into a pipe, with the same bytes as into a file."""
    segments = store_segments(tmp_path, tone(0.5, 16_000), tone(0.5, 22_050))
    pipe, file = Pipe(), io.BytesIO()
    join(segments, pipe)  # type: ignore[arg-type]
    join(segments, file)
    assert bytes(pipe.written) == file.getvalue()


def test_join_accepts_empty_segments(tmp_path: Path) -> None:
    """A segment without frames is joined with the others."""
    empty = Speech(np.zeros(0, np.int16), 16_000)
    out = io.BytesIO()
    join(store_segments(tmp_path, tone(0.5, 22_050), empty, tone(0.5, 22_050)), out)
    assert len(decoded(out.getvalue()).samples) == 22_050


def test_join_without_segments_is_rejected() -> None:
    """Joining no segments is an error."""
    with pytest.raises(ValueError, match="no segment"):
        join([], io.BytesIO())


@pytest.mark.parametrize(
    "samples",
    [
        pytest.param(np.full(10, np.nan, np.float32), id="not a number"),
        pytest.param(np.zeros(10), id="floating point"),
        pytest.param(np.zeros((2, 10), np.int16), id="two channels"),
        pytest.param([0, 1, 2], id="a list"),
        pytest.param(None, id="nothing"),
    ],
)
def test_speech_with_invalid_samples_is_rejected(samples: object) -> None:
    """Samples that are not mono PCM raise an error: noise as an answer would be worse than a failed job."""
    with pytest.raises(EngineError):
        Speech(samples, 16_000)  # type: ignore[arg-type]


@pytest.mark.parametrize("rate_hz", [0, -1, None, 16_000.5])
def test_speech_with_an_invalid_rate_is_rejected(rate_hz: object) -> None:
    """A sample rate that is not a positive integer raises an error: its WAV file could not be played."""
    with pytest.raises(EngineError):
        Speech(np.zeros(10, np.int16), rate_hz)  # type: ignore[arg-type]
