"""Whoever has real weights and recordings can find out whether short windows cost words."""

import shutil
from pathlib import Path

import pytest

from bench.measurements.accuracy import main

pytestmark = pytest.mark.models

SAMPLES = Path(__file__).parents[1] / "speech_models" / "samples"


def test_the_tests_own_recordings_lose_no_word(capsys: pytest.CaptureFixture[str]) -> None:
    """Both ways are used, and neither mishears."""
    main([])
    lines = [line.split() for line in capsys.readouterr().out.splitlines() if line.strip().startswith(("off", "auto"))]
    assert [line[:2] for line in lines] == [["off", "0.0%"], ["auto", "0.0%"]]
    assert "full" in lines[0]
    assert "short_8" in lines[1]


def test_a_word_that_was_not_said_is_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One of four words is another: a quarter of them is wrong."""
    shutil.copy(SAMPLES / "tell-me-a-joke.wav", tmp_path / "joke.wav")
    (tmp_path / "joke.txt").write_text("Tell me a story.")
    main(["--wavs", str(tmp_path)])
    assert capsys.readouterr().out.count("25.0%") == 2


def test_a_folder_without_pairs_says_what_is_missing(tmp_path: Path) -> None:
    """A recording alone is none that can be counted."""
    shutil.copy(SAMPLES / "tell-me-a-joke.wav", tmp_path / "joke.wav")
    with pytest.raises(SystemExit, match=r"NAME\.txt"):
        main(["--wavs", str(tmp_path)])
