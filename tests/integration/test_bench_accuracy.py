"""The word error rates of `bench.measurements.accuracy`, with and without short windows."""

import shutil
from pathlib import Path

import pytest

from bench.measurements.accuracy import main

pytestmark = pytest.mark.models

SAMPLES = Path(__file__).parents[1] / "speech_models" / "samples"


def test_both_strategies_recognize_every_word_of_the_tests_recordings(capsys: pytest.CaptureFixture[str]) -> None:
    """The full and the short window are both used, and each has an error rate of zero."""
    main([])
    lines = [line.split() for line in capsys.readouterr().out.splitlines() if line.strip().startswith(("off", "auto"))]
    assert [line[:2] for line in lines] == [["off", "0.0%"], ["auto", "0.0%"]]
    assert "full" in lines[0]
    assert "short_8" in lines[1]


def test_a_wrong_word_is_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One wrong word of four is an error rate of 25 %."""
    shutil.copy(SAMPLES / "tell-me-a-joke.wav", tmp_path / "joke.wav")
    (tmp_path / "joke.txt").write_text("Tell me a story.")
    main(["--wavs", str(tmp_path)])
    assert capsys.readouterr().out.count("25.0%") == 2


def test_a_folder_without_reference_texts_is_rejected(tmp_path: Path) -> None:
    """A recording without a reference text cannot be measured, and the error names the missing file."""
    shutil.copy(SAMPLES / "tell-me-a-joke.wav", tmp_path / "joke.wav")
    with pytest.raises(SystemExit, match=r"NAME\.txt"):
        main(["--wavs", str(tmp_path)])
