"""The contract between the services and the place where the files of jobs are kept."""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Protocol, Self


@dataclass(frozen=True)
class StoredFile:
    """A stored file, open for reading. Erasing its job does not disturb a reader."""

    name: str
    """Its base name, to save it under."""

    size: int
    """In bytes."""

    modified_at: float
    """Seconds since the epoch."""

    content: BinaryIO
    """Seekable."""

    def close(self) -> None:
        self.content.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _: TracebackType | None
    ) -> None:
        self.close()


class Storage(Protocol):
    """One upload, the segments and one answer for each job, and a cache of segments that several jobs share.

    Every method blocks: call it from a thread. Every file appears whole or not at all. `name` is a stored name: a
    file's name from the root of the storage, which is what Redis keeps and what clients see as `audio_path`.
    """

    def prepare(self) -> None:
        """Make the storage ready for use.

        Raises:
            StartupError: it cannot be written to.
        """

    # The upload

    def upload_writer(self, job_id: str) -> AbstractContextManager[BinaryIO]:
        """Open the job's upload for writing. It appears when the block ends without an error; otherwise nothing is
        left of it.

        Raises:
            StorageFull: there is no room.
        """
        ...

    def open_upload(self, job_id: str) -> StoredFile:
        """Open the job's upload for reading.

        Raises:
            FileNotFoundError: it has not been written, or has been erased.
        """
        ...

    def local_copy(self, job_id: str) -> AbstractContextManager[Path]:
        """The upload as a file of this machine, for a library that takes nothing but a path. The file is read-only, and
        valid until the block ends.

        Raises:
            InputMissing: there is no upload.
        """
        ...

    # Segments

    def write_segment(self, job_id: str, index: int, token: str, data: bytes) -> str:
        """Store one segment of an answer and return its stored name. The attempt's token is part of the name: two
        attempts at one segment, of which one will be committed, must not overwrite each other.

        Raises:
            StorageFull: there is no room.
        """
        ...

    def open_segment(self, name: str) -> StoredFile:
        """Open a segment for reading, by its stored name.

        Raises:
            FileNotFoundError: it has been erased.
        """
        ...

    def erase_segments(self, job_id: str) -> None:
        """Remove the job's segments, which are not needed once the answer is complete."""

    # The cache of segments

    def cache_segment(self, name: str, key: str, limit_bytes: int) -> None:
        """Let other jobs reuse a segment as `key`, and evict the least recently used ones beyond `limit_bytes`. The
        cache only saves time: an implementation may keep nothing."""

    def reuse_segment(self, job_id: str, index: int, token: str, key: str) -> str | None:
        """Give the job the segment that is cached as `key`, as `write_segment` would, and return its stored name; None
        if there is none."""
        ...

    def prune_cache(self) -> None:
        """Remove cached segments that no job has any more: the speech of an erased job is not kept for others."""

    def clear_cache(self) -> None:
        """Empty the cache; jobs keep their segments."""

    # The answer

    def answer_name(self, job_id: str) -> str:
        """The stored name of the job's answer."""
        ...

    def answer_writer(self, job_id: str) -> AbstractContextManager[BinaryIO]:
        """Open the job's answer for writing, like `upload_writer`.

        Raises:
            StorageFull: there is no room.
        """
        ...

    def open_answer(self, job_id: str) -> StoredFile:
        """Open the job's answer for reading.

        Raises:
            FileNotFoundError: it has not been written, or has been erased.
        """
        ...

    # Cleanup

    def erase(self, job_id: str) -> None:
        """Remove every file of a job; no error if there is none."""

    def job_ids_on_disk(self, older_than_s: float) -> set[str]:
        """Ids of the jobs that have a file which was last modified more than `older_than_s` ago."""
        ...

    def remove_partial_files(self, older_than_s: float) -> None:
        """Remove temporary files that a killed process left behind."""
