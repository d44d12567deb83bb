"""The volume that all services share. Nobody else joins a path under it.

A file appears under its name whole or not at all: it is written under a temporary name, forced to the disk, renamed.
"""

import errno
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

from shared.errors import StartupError, StorageFull

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_PARTIAL = ".part"


class Storage:
    """`input/<job>` uploads, `work/<job>/` segments, `output/<job>_response.wav` answers."""

    def __init__(self, root: Path) -> None:
        self._root = root.resolve()
        self._input, self._work, self._output = (self._root / name for name in ("input", "work", "output"))

    def prepare(self) -> None:
        """Make the folders.

        Raises:
            StartupError: the volume cannot be written to.
        """
        try:
            for folder in (self._input, self._work, self._output):
                folder.mkdir(parents=True, exist_ok=True)
                probe = folder / f".probe-{uuid4().hex}{_PARTIAL}"
                probe.touch()
                probe.unlink()
        except OSError as error:
            raise StartupError(
                f"DATA_DIR cannot be written to ({error.strerror}). Set it to a folder that this process may write."
            ) from error

    # Where things lie

    def input_path(self, job_id: str) -> Path:
        return self._input / job_id

    def output_path(self, job_id: str) -> Path:
        return self._output / f"{job_id}_response.wav"

    def relative(self, path: Path) -> str:
        """`path` as it is told to clients: from the volume's root."""
        return path.relative_to(self._root).as_posix()

    def absolute(self, relative: str) -> Path:
        """The reverse of `relative`, for names that this class has made."""
        return self._root / relative

    # Writing

    @contextmanager
    def writing(self, path: Path) -> Iterator[BinaryIO]:
        """Open `path` for writing; it appears when the block ends well, and nothing is left of it otherwise.

        Raises:
            StorageFull: the volume has no room.
        """
        partial = path.with_name(f".{path.name}-{uuid4().hex}{_PARTIAL}")
        try:
            with _telling_full():
                path.parent.mkdir(parents=True, exist_ok=True)
                with partial.open("wb") as file:
                    yield file
                    file.flush()
                    os.fsync(file.fileno())
                partial.rename(path)
                _sync_folder(path.parent)
        finally:
            with suppress(OSError):
                partial.unlink()

    def write_segment(self, job_id: str, index: int, token: str, data: bytes) -> str:
        """Keep one spoken piece of an answer; its relative name. The attempt's token is part of it: two attempts at one
        piece, of which one will be committed, must not write over each other."""
        path = self._work / job_id / f"{index:04d}-{token}.wav"
        with self.writing(path) as file:
            file.write(data)
        return self.relative(path)

    # Removing

    def drop_segments(self, job_id: str) -> None:
        """Remove what is not needed once the answer is whole."""
        shutil.rmtree(self._work / job_id, ignore_errors=True)

    def erase(self, job_id: str) -> None:
        """Remove every file of a job."""
        self.drop_segments(job_id)
        for path in (self.input_path(job_id), self.output_path(job_id)):
            path.unlink(missing_ok=True)

    def jobs_with_files(self, older_than_s: float) -> set[str]:
        """Ids of jobs of which some file or folder has not been touched for so long."""
        before = time.time() - older_than_s
        found = set()
        for folder in (self._input, self._work, self._output):
            for entry in folder.iterdir():
                with suppress(FileNotFoundError):  # removed by somebody else meanwhile
                    if not entry.name.startswith(".") and entry.stat().st_mtime < before:
                        found.add(entry.name.removesuffix("_response.wav"))
        return found

    def drop_partial(self, older_than_s: float) -> None:
        """Remove temporary files that a killed process left behind."""
        before = time.time() - older_than_s
        for path in self._root.glob(f"*/**/.*{_PARTIAL}"):
            with suppress(FileNotFoundError):
                if path.stat().st_mtime < before:
                    path.unlink()


@contextmanager
def _telling_full() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise StorageFull from error
        raise


def _sync_folder(folder: Path) -> None:
    """Make a rename outlive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
