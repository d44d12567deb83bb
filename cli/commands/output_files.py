"""The files that spoken answers are written to."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from cli.errors import UsageError

_SUFFIX = "_response.wav"


def default_output(recording: Path) -> Path:
    """The answer's file where `-o` is absent: `a_response.wav` in the folder of `a.wav`."""
    return recording.with_name(f"{recording.stem}{_SUFFIX}")


def job_output(job_id: str) -> Path:
    """The answer's file of a job without a recording: `JOB_response.wav` in the current folder."""
    return Path(f"{job_id}{_SUFFIX}")


def resolve_output(output: str | None, default: Path) -> Path:
    """The file that `-o` means: itself, or the default's name in a folder.

    Raises:
        UsageError: it cannot be written to.
    """
    if output is None:
        path = default
    elif output == "-":
        raise UsageError("Standard output is for text: name a file or a folder with -o.")
    else:
        path = Path(output) / default.name if is_folder(output) else Path(output)
    if not path.parent.is_dir():
        raise UsageError(f"There is no folder {path.parent}.")
    return path


def output_paths(recordings: Sequence[Path], output: str | None) -> dict[Path, Path]:
    """The answer's file of each recording.

    A recording that is itself the answer to another one is left out: `*.wav` matches the answers of an earlier run.

    Raises:
        UsageError: `output` is not a folder, or two answers would have the same name.
    """
    if output is not None:
        if not is_folder(output):
            raise UsageError(f"{output} is not a folder. The answers to several recordings need one.")
        Path(output).mkdir(parents=True, exist_ok=True)
    unique = dict.fromkeys(recordings)
    answers = {default_output(recording) for recording in unique}
    paths = {}
    for recording in unique:
        if recording not in answers:
            path = default_output(recording)
            paths[recording] = path if output is None else Path(output) / path.name
    path, count = Counter(paths.values()).most_common(1)[0]
    if count > 1:
        raise UsageError(f"The answers to two recordings would both be written to {path}. Rename one of them.")
    return paths


def is_folder(output: str) -> bool:
    """True if `-o` means a folder, which need not exist yet."""
    return output.endswith("/") or Path(output).is_dir()
