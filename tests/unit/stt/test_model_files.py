"""A missing model is a one-line error that names the setting to change."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from shared.errors import StartupError
from stt_worker.engines.faster_whisper.model_files import model_directory, model_name


@pytest.fixture
def converted(tmp_path: Path) -> Path:
    """A directory that looks like a converted model."""
    directory = tmp_path / "secret" / "my-whisper"
    directory.mkdir(parents=True)
    (directory / "model.bin").touch()
    (directory / "tokenizer.json").touch()
    return directory


def test_local_directory_is_used_as_it_is(converted: Path) -> None:
    """A complete local model is not fetched, and its public name has no path."""
    assert model_directory(str(converted), Path("nowhere")) == converted
    assert model_name(f"{converted}/") == "my-whisper"
    assert model_name("Systran/faster-whisper-base") == "Systran/faster-whisper-base"


@pytest.mark.parametrize("missing", ["model.bin", "tokenizer.json", None])
def test_incomplete_directory_is_a_startup_error(converted: Path, missing: str | None) -> None:
    """The error names STT_MODEL and the required files, but no path."""
    path = converted / missing if missing else converted
    if missing:
        path.unlink()
    with pytest.raises(StartupError, match=r"STT_MODEL.*model\.bin and tokenizer\.json") as caught:
        model_directory(str(converted if missing else converted / "gone"), Path("nowhere"))
    assert "secret" not in str(caught.value)


def test_unknown_name_lists_the_available_models(tmp_path: Path) -> None:
    """A mistyped model name gives the list of names, without a network request."""
    with pytest.raises(StartupError, match=r"STT_MODEL=bas is not known.*large-v3-turbo"):
        model_directory("bas", tmp_path)


@pytest.mark.parametrize("model", ["base", "owner/their-whisper"])
def test_model_that_cannot_be_fetched_is_a_one_line_error(tmp_path: Path, model: str) -> None:
    """With the hub unreachable, the error names both settings but no path, and none of the library's text."""
    program = (
        "import sys; from pathlib import Path; from shared.errors import StartupError\n"
        "from stt_worker.engines.faster_whisper.model_files import model_directory\n"
        "try: model_directory(sys.argv[1], Path(sys.argv[2]))\n"
        "except StartupError as error: print(error)\n"
    )
    # The library reads the hub's address when it is imported; no server listens on the discard port.
    environment = os.environ | {"HF_ENDPOINT": "http://127.0.0.1:9", "HF_HUB_OFFLINE": "0"}
    run = subprocess.run(
        [sys.executable, "-c", program, model, str(tmp_path / "models")],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert run.stderr == ""
    (line,) = run.stdout.splitlines()
    assert line.startswith(f"STT_MODEL={model} could not be fetched into MODELS_DIR.")
    assert str(tmp_path) not in line
    assert "127.0.0.1" not in line
