"""The TTS worker on arbitrary input: texts, samples, names and configurations of voices."""

import io
import json
import string
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import InputError
from support.segments import store_segments
from tts_worker.engine import Speech
from tts_worker.engines.piper.download import installed_voice
from tts_worker.engines.piper.voice import BrokenVoice, open_voice
from tts_worker.sanitize import MAX_CHARS, sanitize_for_engine
from tts_worker.wav import encode, join

TINY_PIPER = Path(__file__).parents[1] / "speech_models" / "tiny-piper" / "en_US-fixture-low.onnx"
RATES_HZ = st.sampled_from([8000, 16_000, 22_050, 44_100, 48_000]) | st.integers(1000, 192_000)
SAMPLES = st.lists(st.integers(-32_768, 32_767), max_size=300).map(lambda values: np.array(values, np.int16))

#: Text with many surrogates, control characters and brackets.
ODD_TEXT = st.text(
    st.characters(exclude_categories=()) | st.sampled_from("\0\x01\x1b\x7f\ud800[[]]\n\t "), max_size=300
)


@given(ODD_TEXT)
def test_sanitized_text_has_no_meaning_for_an_engine(text: str) -> None:
    """A sanitized text has no control character, bracket command or surrogate, and sanitizing it again changes
    nothing."""
    clean = sanitize_for_engine(text)
    clean.encode()
    assert "[[" not in clean
    assert "]]" not in clean
    assert all(char.isprintable() or char in "\n\t" or ord(char) > 159 for char in clean)
    assert sanitize_for_engine(clean) == clean
    assert len(clean) <= len(text)
    assert [char for char in text if char.isalnum()] == [char for char in clean if char.isalnum()]


@given(st.integers(MAX_CHARS - 2, MAX_CHARS + 2))
def test_the_longest_text_is_exact(length: int) -> None:
    """A text of MAX_CHARS characters is accepted, and one more is refused."""
    if length <= MAX_CHARS:
        assert len(sanitize_for_engine("a" * length)) == length
    else:
        with pytest.raises(InputError):
            sanitize_for_engine("a" * length)


def read_wav(data: bytes) -> tuple[int, np.ndarray]:
    """The rate and the samples of a WAV file, read with the standard library."""
    with wave.open(io.BytesIO(data)) as file:
        assert (file.getnchannels(), file.getsampwidth()) == (1, 2)
        return file.getframerate(), np.frombuffer(file.readframes(file.getnframes()), np.int16)


@given(SAMPLES, RATES_HZ)
def test_encoding_keeps_every_sample(samples: np.ndarray, rate_hz: int) -> None:
    """Encoded speech has the same samples and rate when another program reads it."""
    read_rate_hz, read_samples = read_wav(encode(Speech(samples, rate_hz)))
    assert read_rate_hz == rate_hz
    assert np.array_equal(read_samples, samples)


@given(st.lists(SAMPLES, min_size=1, max_size=5), RATES_HZ)
def test_joining_keeps_every_sample(
    tmp_path_factory: pytest.TempPathFactory, segments: list[np.ndarray], rate_hz: int
) -> None:
    """Joined segments have all samples of each in order, and the returned duration is the file's."""
    speeches = [Speech(segment, rate_hz) for segment in segments]
    joined = io.BytesIO()
    duration_s = join(store_segments(tmp_path_factory.mktemp("segments"), *speeches), joined)
    read_rate_hz, samples = read_wav(joined.getvalue())
    assert read_rate_hz == rate_hz
    assert np.array_equal(samples, np.concatenate(segments))
    assert duration_s == pytest.approx(samples.size / rate_hz)


@given(st.lists(st.tuples(SAMPLES, RATES_HZ), min_size=1, max_size=4))
def test_segments_of_several_rates_keep_their_length(
    tmp_path_factory: pytest.TempPathFactory, segments: list[tuple[np.ndarray, int]]
) -> None:
    """Joined segments of several rates are one valid file, as long as its parts to within a sample each."""
    speeches = [Speech(samples, rate_hz) for samples, rate_hz in segments]
    joined = io.BytesIO()
    duration_s = join(store_segments(tmp_path_factory.mktemp("segments"), *speeches), joined)
    rate_hz, samples = read_wav(joined.getvalue())
    assert duration_s == pytest.approx(samples.size / rate_hz)
    exact_s = sum(samples.size / rate_hz for samples, rate_hz in segments)
    assert duration_s == pytest.approx(exact_s, abs=len(segments) / rate_hz)


@given(st.text(max_size=300) | st.text("../\\\0~%ä好", max_size=300))
def test_the_name_of_a_voice_stays_in_its_folder(tmp_path_factory: pytest.TempPathFactory, name: str) -> None:
    """A voice name with path characters finds no file outside the folder of voices, which is empty here."""
    folder = tmp_path_factory.getbasetemp() / "voices" / "inner"
    folder.mkdir(parents=True, exist_ok=True)
    for model in (folder.parent / "voice.onnx", folder.parent / "voice.onnx.json"):
        model.touch()
    assert installed_voice(name, folder) is None


def test_a_voice_name_too_long_for_the_disk_is_not_installed(tmp_path: Path) -> None:
    """A voice name of 100 characters and 300 bytes, at which the file system raises, is not installed."""
    assert installed_voice("好" * 100, tmp_path) is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
CONFIG: dict[str, Any] = json.loads(TINY_PIPER.with_suffix(".onnx.json").read_text())
CONFIG_PATHS = [
    ("audio",),
    ("audio", "sample_rate"),
    ("espeak",),
    ("espeak", "voice"),
    ("inference",),
    ("phoneme_id_map",),
    ("inference", "noise_scale"),
    ("inference", "length_scale"),
    ("inference", "noise_w"),
    ("num_symbols",),
    ("num_speakers",),
    ("phoneme_type",),
    ("speaker_id_map",),
    ("hop_length",),
    ("vowel_clusters",),
    ("default_speaker_id",),
    ("phoneme_id_map", "_"),
    ("phoneme_id_map", "ə"),
    ("phoneme_id_map", "^"),
]


def can_open(folder: Path, config: str) -> bool:
    """Open a voice with this configuration and synthesize with it, or return False if it is broken."""
    model = folder / "voice.onnx"
    if not model.exists():
        model.symlink_to(TINY_PIPER)
    Path(f"{model}.json").write_text(config)
    try:
        voice = open_voice(model, threads=1, download_dir=folder)
    except BrokenVoice:
        return False
    assert voice.synthesize("Hello.", 1.0).sample_rate_hz > 0
    return True


@pytest.mark.models
@pytest.mark.filterwarnings("ignore:overflow encountered in cast:RuntimeWarning")  # by Piper, of a number like 1e300
@given(st.sampled_from(CONFIG_PATHS), JSON)
def test_a_voice_configuration_is_refused_or_works(
    tmp_path_factory: pytest.TempPathFactory, path: tuple[str, ...], value: Any
) -> None:
    """A voice whose configuration has any one value replaced is refused when it is opened, or synthesizes; no job fails
    later."""
    config: dict[str, Any] = json.loads(json.dumps(CONFIG))
    parent = config
    for name in path[:-1]:
        parent = parent[name]
    parent[path[-1]] = value
    can_open(tmp_path_factory.getbasetemp(), json.dumps(config))


@pytest.mark.models
@given(
    st.text(string.printable, max_size=80)
    | JSON.map(json.dumps)
    | st.integers(1, 20_000).map(lambda depth: "[" * depth)
)
def test_a_file_that_is_not_a_configuration_is_refused(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    """A voice whose configuration is an error page, half a download or deeply nested JSON is refused when it is
    opened."""
    assert not can_open(tmp_path_factory.getbasetemp(), text)
