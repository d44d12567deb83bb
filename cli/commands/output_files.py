"""Where a spoken answer is written."""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from cli.errors import WrongUsage

_ENDING = "_response.wav"


def beside(recording: Path) -> Path:
    """The name of the answer to a recording."""
    return recording.with_name(f"{recording.stem}{_ENDING}")


def chosen(output: str | None, default: Path) -> Path:
    """The file that `-o` means: itself, or in a folder the default's name.

    Raises:
        WrongUsage: it cannot be written to.
    """
    if output is None:
        path = default
    elif output == "-":
        raise WrongUsage("Standard output is for text: name a file or a folder with -o.")
    else:
        path = Path(output) / default.name if is_folder(output) else Path(output)
    if not path.parent.is_dir():
        raise WrongUsage(f"There is no folder {path.parent}.")
    return path


def of_each(recordings: Sequence[Path], output: str | None) -> dict[Path, Path]:
    """By recording, its answer's file. Recordings that are such an answer themselves, to one of the others, are left
    out: `*.wav` finds them the second time.

    Raises:
        WrongUsage: `output` is no folder, or two answers would have the same name.
    """
    if output is not None:
        if not is_folder(output):
            raise WrongUsage(f"{output} is no folder. The answers to several recordings need one.")
        Path(output).mkdir(parents=True, exist_ok=True)
    asked = dict.fromkeys(recordings)
    answers = {beside(recording) for recording in asked}
    places = {
        each: Path(output) / beside(each).name if output is not None else beside(each)
        for each in asked
        if each not in answers
    }
    name, times = Counter(places.values()).most_common(1)[0]
    if times > 1:
        raise WrongUsage(f"Two recordings would have the same answer's file, {name}. Rename one of them.")
    return places


def is_folder(output: str) -> bool:
    """Whether a folder is meant, be it there already or not."""
    return output.endswith("/") or Path(output).is_dir()


@contextmanager
def written_whole(path: Path) -> Iterator[BinaryIO]:
    """A file that has its name only once the block is left without an error."""
    target = path.resolve()
    if target.exists() and not target.is_file():  # such as /dev/null, which must stay what it is
        with target.open("wb") as device:
            yield device
        return
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            yield file
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
