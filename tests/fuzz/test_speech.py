"""What the TTS worker makes of texts, samples and the files of voices."""

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
from tts_worker.engine import Speech
from tts_worker.engines.piper.download import installed_voice
from tts_worker.engines.piper.voice import BrokenVoice, open_voice
from tts_worker.sanitize import MAX_CHARS, sanitize_for_engine
from tts_worker.wav import encode, join

TINY_PIPER = Path(__file__).parents[1] / "speech_models" / "tiny-piper" / "en_US-fixture-low.onnx"
RATES_HZ = st.sampled_from([8000, 16_000, 22_050, 44_100, 48_000]) | st.integers(1000, 192_000)
SAMPLES = st.lists(st.integers(-32_768, 32_767), max_size=300).map(lambda values: np.array(values, np.int16))

#: Surrogates, control characters and brackets more often than chance would have them.
ODD_TEXT = st.text(
    st.characters(exclude_categories=()) | st.sampled_from("\0\x01\x1b\x7f\ud800[[]]\n\t "), max_size=300
)


@given(ODD_TEXT)
def test_what_is_spoken_means_nothing_else_to_an_engine(text: str) -> None:
    """No command, no bracket, no half of a character is left; and what is clean stays as it is."""
    clean = sanitize_for_engine(text)
    clean.encode()
    assert "[[" not in clean
    assert "]]" not in clean
    assert all(char.isprintable() or char in "\n\t" or ord(char) > 159 for char in clean)
    assert sanitize_for_engine(clean) == clean
    assert len(clean) <= len(text)
    assert [char for char in text if char.isalnum()] == [char for char in clean if char.isalnum()]


@given(st.integers(MAX_CHARS - 2, MAX_CHARS + 2))
def test_the_longest_text_is_met_to_the_letter(length: int) -> None:
    """One more is refused."""
    if length <= MAX_CHARS:
        assert len(sanitize_for_engine("a" * length)) == length
    else:
        with pytest.raises(InputError):
            sanitize_for_engine("a" * length)


def read(data: bytes) -> tuple[int, np.ndarray]:
    with wave.open(io.BytesIO(data)) as file:
        assert (file.getnchannels(), file.getsampwidth()) == (1, 2)
        return file.getframerate(), np.frombuffer(file.readframes(file.getnframes()), np.int16)


@given(SAMPLES, RATES_HZ)
def test_speech_is_written_to_the_sample(samples: np.ndarray, rate_hz: int) -> None:
    """Another program reads the same samples at the same rate."""
    read_rate_hz, read_samples = read(encode(Speech(samples, rate_hz)))
    assert read_rate_hz == rate_hz
    assert np.array_equal(read_samples, samples)


@given(st.lists(SAMPLES, min_size=1, max_size=5), RATES_HZ)
def test_segments_are_joined_to_the_sample(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[np.ndarray], rate_hz: int
) -> None:
    """All of each, in order, and the length that is told is the file's."""
    folder = tmp_path_factory.mktemp("segments")
    paths = [folder / str(number) for number in range(len(pieces))]
    for path, piece in zip(paths, pieces, strict=True):
        path.write_bytes(encode(Speech(piece, rate_hz)))
    joined = io.BytesIO()
    duration_s = join(paths, joined)
    read_rate_hz, samples = read(joined.getvalue())
    assert read_rate_hz == rate_hz
    assert np.array_equal(samples, np.concatenate(pieces))
    assert duration_s == pytest.approx(samples.size / rate_hz)


@given(st.lists(st.tuples(SAMPLES, RATES_HZ), min_size=1, max_size=4))
def test_segments_of_several_rates_keep_their_length(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[tuple[np.ndarray, int]]
) -> None:
    """Whatever rates the voices have, the whole is one valid file, and as long as its parts to a sample each."""
    folder = tmp_path_factory.mktemp("segments")
    paths = [folder / str(number) for number in range(len(pieces))]
    for path, (samples, rate_hz) in zip(paths, pieces, strict=True):
        path.write_bytes(encode(Speech(samples, rate_hz)))
    joined = io.BytesIO()
    duration_s = join(paths, joined)
    rate_hz, samples = read(joined.getvalue())
    assert duration_s == pytest.approx(samples.size / rate_hz)
    exact_s = sum(samples.size / rate_hz for samples, rate_hz in pieces)
    assert duration_s == pytest.approx(exact_s, abs=len(pieces) / rate_hz)


@given(st.text(max_size=300) | st.text("../\\\0~%ä好", max_size=300))
def test_a_voices_name_never_leaves_its_folder(tmp_path_factory: pytest.TempPathFactory, name: str) -> None:
    """Whatever the name, what is found is a file of the folder, and here there is none."""
    folder = tmp_path_factory.getbasetemp() / "voices" / "inner"
    folder.mkdir(parents=True, exist_ok=True)
    for model in (folder.parent / "voice.onnx", folder.parent / "voice.onnx.json"):
        model.touch()
    assert installed_voice(name, folder) is None


def test_a_voices_name_that_no_disk_can_hold_is_no_voice(tmp_path: Path) -> None:
    """A hundred letters may be three hundred bytes, at which the disk raises."""
    assert installed_voice("好" * 100, tmp_path) is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
CONFIG: dict[str, Any] = json.loads(TINY_PIPER.with_suffix(".onnx.json").read_text())
PLACES = [("audio",), ("audio", "sample_rate"), ("espeak",), ("espeak", "voice"), ("inference",), ("phoneme_id_map",)]
PLACES += [("inference", "noise_scale"), ("inference", "length_scale"), ("inference", "noise_w"), ("num_symbols",)]
PLACES += [("num_speakers",), ("phoneme_type",), ("speaker_id_map",), ("hop_length",), ("vowel_clusters",)]
PLACES += [("default_speaker_id",), ("phoneme_id_map", "_"), ("phoneme_id_map", "ə"), ("phoneme_id_map", "^")]


def opens(folder: Path, config: str) -> bool:
    """Whether a voice with this configuration can be opened; if so, it can speak."""
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
@pytest.mark.filterwarnings("ignore:overflow encountered in cast:RuntimeWarning")  # Piper's, of a number like 1e300
@given(st.sampled_from(PLACES), JSON)
def test_a_voices_configuration_is_refused_or_can_speak(
    tmp_path_factory: pytest.TempPathFactory, place: tuple[str, ...], value: Any
) -> None:
    """Whatever stands in it, opening the voice says that it is broken, or it speaks: no job finds out later."""
    config: dict[str, Any] = json.loads(json.dumps(CONFIG))
    inner = config
    for step in place[:-1]:
        inner = inner[step]
    inner[place[-1]] = value
    opens(tmp_path_factory.getbasetemp(), json.dumps(config))


@pytest.mark.models
@given(
    st.text(string.printable, max_size=80)
    | JSON.map(json.dumps)
    | st.integers(1, 20_000).map(lambda depth: "[" * depth)
)
def test_a_file_that_is_no_configuration_is_refused(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    """A page of an error, half a download, or nested without end."""
    assert not opens(tmp_path_factory.getbasetemp(), text)
