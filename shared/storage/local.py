"""The volume that all services share. No other module joins a path under it.

`input/<job>` uploads, `work/<job>/` segments, `output/<job>_response.wav` answers, `cache/<key>` shared segments.
"""

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

from shared.errors import InputMissing, StartupError
from shared.storage.atomic_file import PARTIAL_SUFFIX, atomic_writer
from shared.storage.local_cache import LinkedCache
from shared.storage.storage import Storage, StoredFile

_ANSWER_SUFFIX = "_response.wav"


class LocalStorage(Storage):
    """Files in a folder of this machine, or of a network file system."""

    def __init__(self, root: Path) -> None:
        self._root = root.resolve()
        self._input = self._root / "input"
        self._work = self._root / "work"
        self._output = self._root / "output"
        self._cache_folder = self._root / "cache"
        self._cache = LinkedCache(self._cache_folder)

    def prepare(self) -> None:
        try:
            for folder in (self._input, self._work, self._output, self._cache_folder):
                folder.mkdir(parents=True, exist_ok=True)
                probe = folder / f".probe-{uuid4().hex}{PARTIAL_SUFFIX}"
                probe.touch()
                probe.unlink()
        except OSError as error:
            raise StartupError(
                f"DATA_DIR cannot be written to ({error.strerror}). Set it to a folder that this process may write."
            ) from error

    # The upload

    def upload_writer(self, job_id: str) -> AbstractContextManager[BinaryIO]:
        return atomic_writer(self._upload_path(job_id))

    def open_upload(self, job_id: str) -> StoredFile:
        return _open(self._upload_path(job_id))

    @contextmanager
    def local_copy(self, job_id: str) -> Iterator[Path]:
        path = self._upload_path(job_id)
        if not path.is_file():
            raise InputMissing
        yield path

    # Segments

    def write_segment(self, job_id: str, index: int, token: str, data: bytes) -> str:
        path = self._segment_path(job_id, index, token)
        with atomic_writer(path) as file:
            file.write(data)
        return self._stored_name(path)

    def open_segment(self, name: str) -> StoredFile:
        return _open(self._root / name)

    def erase_segments(self, job_id: str) -> None:
        if (folder := self._work / job_id).exists():
            shutil.rmtree(folder, ignore_errors=True)
            self.prune_cache()

    # The cache of segments

    def cache_segment(self, name: str, key: str, limit_bytes: int) -> None:
        self._cache.add(self._root / name, key, limit_bytes)

    def reuse_segment(self, job_id: str, index: int, token: str, key: str) -> str | None:
        path = self._segment_path(job_id, index, token)
        return self._stored_name(path) if self._cache.link(key, path) else None

    def prune_cache(self) -> None:
        self._cache.prune()

    def clear_cache(self) -> None:
        self._cache.clear()

    # The answer

    def answer_name(self, job_id: str) -> str:
        return self._stored_name(self._answer_path(job_id))

    def answer_writer(self, job_id: str) -> AbstractContextManager[BinaryIO]:
        return atomic_writer(self._answer_path(job_id))

    def open_answer(self, job_id: str) -> StoredFile:
        return _open(self._answer_path(job_id))

    # Cleanup

    def erase(self, job_id: str) -> None:
        self.erase_segments(job_id)
        for path in (self._upload_path(job_id), self._answer_path(job_id)):
            path.unlink(missing_ok=True)

    def job_ids_on_disk(self, older_than_s: float) -> set[str]:
        before = time.time() - older_than_s
        job_ids = set()
        for folder in (self._input, self._work, self._output):
            for entry in folder.iterdir():
                with suppress(FileNotFoundError):  # removed by another process meanwhile
                    if not entry.name.startswith(".") and entry.stat().st_mtime < before:
                        job_ids.add(entry.name.removesuffix(_ANSWER_SUFFIX))
        return job_ids

    def remove_partial_files(self, older_than_s: float) -> None:
        before = time.time() - older_than_s
        for path in self._root.glob(f"*/**/.*{PARTIAL_SUFFIX}"):
            with suppress(FileNotFoundError):
                if path.stat().st_mtime < before:
                    path.unlink()

    # Names

    def _upload_path(self, job_id: str) -> Path:
        return self._input / job_id

    def _answer_path(self, job_id: str) -> Path:
        return self._output / f"{job_id}{_ANSWER_SUFFIX}"

    def _segment_path(self, job_id: str, index: int, token: str) -> Path:
        return self._work / job_id / f"{index:04d}-{token}.wav"

    def _stored_name(self, path: Path) -> str:
        return path.relative_to(self._root).as_posix()


def _open(path: Path) -> StoredFile:
    content = path.open("rb")
    try:
        stat = os.fstat(content.fileno())
    except BaseException:
        content.close()
        raise
    return StoredFile(path.name, stat.st_size, stat.st_mtime, content)
