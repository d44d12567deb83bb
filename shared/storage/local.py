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
    """`input/<job>` uploads, `work/<job>/` segments, `output/<job>_response.wav` answers, `cache/<key>` segments that
    other jobs may use."""

    def __init__(self, root: Path) -> None:
        self._root = root.resolve()
        self._folders = [self._root / name for name in ("input", "work", "output", "cache")]
        self._input, self._work, self._output, self._cache = self._folders

    def prepare(self) -> None:
        """Make the folders.

        Raises:
            StartupError: the volume cannot be written to.
        """
        try:
            for folder in self._folders:
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
            with _map_disk_full():
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
        path = self._segment_path(job_id, index, token)
        with self.writing(path) as file:
            file.write(data)
        return self.relative(path)

    def _segment_path(self, job_id: str, index: int, token: str) -> Path:
        return self._work / job_id / f"{index:04d}-{token}.wav"

    # Sharing segments
    #
    # `cache/<key>` is one more link to a segment that a job has, never a file of its own: the file system counts who
    # still has it. Where nobody else does, it goes, so that what is erased with a job is not kept for others.

    def share_segment(self, segment: str, key: str, limit_bytes: int) -> None:
        """Let other jobs use a segment, and drop those that nobody used for longest, where all are more than
        `limit_bytes`. On a volume without hard links nothing is shared."""
        path = self.absolute(segment)
        with suppress(OSError):  # erased meanwhile, shared already, or no links here: it only saves time
            if path.stat().st_size <= limit_bytes:
                self._cache.mkdir(exist_ok=True)
                os.link(path, self._cache / key)
                self._keep_within(limit_bytes)

    def shared_segment(self, job_id: str, index: int, token: str, key: str) -> str | None:
        """Give a job the segment that is shared as `key`, as `write_segment` would; None if there is none."""
        shared, path = self._cache / key, self._segment_path(job_id, index, token)
        if not shared.exists():
            return None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            os.link(shared, path)
            os.utime(path)
            _sync_folder(path.parent)
        except OSError:  # dropped meanwhile, or linked as often as the file system can: it is spoken again
            return None
        return self.relative(path)

    def _keep_within(self, limit_bytes: int) -> None:
        shared = sorted(self._shared(), key=lambda each: each[1].st_mtime_ns, reverse=True)
        total = 0
        for path, found in shared:
            total += found.st_size
            if total > limit_bytes:
                path.unlink(missing_ok=True)

    def _shared(self) -> Iterator[tuple[Path, os.stat_result]]:
        if not self._cache.exists():  # somebody took it for what may be removed at any time
            return
        with os.scandir(self._cache) as entries:  # pathlib takes twice as long, before the first sound
            for entry in entries:
                with suppress(FileNotFoundError):  # removed by somebody else meanwhile
                    if not entry.name.startswith("."):
                        yield self._cache / entry.name, entry.stat()

    def prune_cache(self) -> None:
        """Remove what is shared of jobs that are gone."""
        for path, found in self._shared():
            if found.st_nlink == 1:
                path.unlink(missing_ok=True)

    def clear_cache(self) -> None:
        """Share nothing of what there is; jobs keep their segments."""
        for path, _ in self._shared():
            path.unlink(missing_ok=True)

    # Removing

    def drop_segments(self, job_id: str) -> None:
        """Remove what is not needed once the answer is whole."""
        if (folder := self._work / job_id).exists():
            shutil.rmtree(folder, ignore_errors=True)
            self.prune_cache()

    def erase(self, job_id: str) -> None:
        """Remove every file of a job."""
        self.drop_segments(job_id)
        for path in (self.input_path(job_id), self.output_path(job_id)):
            path.unlink(missing_ok=True)

    def job_ids_on_disk(self, older_than_s: float) -> set[str]:
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
def _map_disk_full() -> Iterator[None]:
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
