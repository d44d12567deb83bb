"""The cache of segments on a local volume, made of hard links.

A cached segment is one more link to a job's segment, never a copy: the file's link count shows whether a job still has
it. A segment that no job has any more is removed, so that the speech of an erased job is not kept for others.
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from shared.storage.atomic_file import sync_folder


class LinkedCache:
    """A folder of links to segments."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def add(self, segment: Path, key: str, limit_bytes: int) -> None:
        """Link a segment as `key`, and evict the least recently used ones beyond `limit_bytes`. On a volume without
        hard links nothing is cached."""
        with suppress(OSError):  # erased meanwhile, cached already, or no hard links: the cache only saves time
            if segment.stat().st_size <= limit_bytes:
                self._folder.mkdir(exist_ok=True)
                os.link(segment, self._folder / key)
                self._evict(limit_bytes)

    def link(self, key: str, segment: Path) -> bool:
        """Link the segment cached as `key` to the path `segment`; return False if there is none."""
        cached = self._folder / key
        if not cached.exists():
            return False
        try:
            segment.parent.mkdir(parents=True, exist_ok=True)
            os.link(cached, segment)
            os.utime(segment)
            sync_folder(segment.parent)
        except OSError:  # evicted meanwhile, or linked as often as the file system can: it is synthesized again
            return False
        return True

    def prune(self) -> None:
        """Remove segments of jobs that are gone."""
        for path, stat in self._entries():
            if stat.st_nlink == 1:
                path.unlink(missing_ok=True)

    def clear(self) -> None:
        """Remove every link; jobs keep their segments."""
        for path, _ in self._entries():
            path.unlink(missing_ok=True)

    def _evict(self, limit_bytes: int) -> None:
        newest_first = sorted(self._entries(), key=lambda entry: entry[1].st_mtime_ns, reverse=True)
        total = 0
        for path, stat in newest_first:
            total += stat.st_size
            if total > limit_bytes:
                path.unlink(missing_ok=True)

    def _entries(self) -> Iterator[tuple[Path, os.stat_result]]:
        if not self._folder.exists():  # an operator may remove a cache at any time
            return
        with os.scandir(self._folder) as entries:  # pathlib takes twice as long, before the first sound
            for entry in entries:
                with suppress(FileNotFoundError):  # removed by another process meanwhile
                    if not entry.name.startswith("."):
                        yield self._folder / entry.name, entry.stat()
