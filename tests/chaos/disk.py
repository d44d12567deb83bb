"""A small disk that can be filled up."""

import errno
import os
import subprocess
from contextlib import suppress
from pathlib import Path


class Disk:
    """A file system of its own in memory, mounted while it is needed."""

    def __init__(self, at: Path, size_mb: int) -> None:
        self.path = at
        self._ballast = at / "ballast"
        self._size_mb = size_mb
        self.why_not: str | None = None
        """Why it is only a folder, if it is; then it cannot be filled."""

    def mount(self) -> None:
        self.path.mkdir(parents=True, exist_ok=True)
        command = ["mount", "-t", "tmpfs", "-o", f"size={self._size_mb}m", "tmpfs", str(self.path)]
        try:
            subprocess.run(command, check=True, capture_output=True, text=True)
        except FileNotFoundError:
            self.why_not = "there is no mount command"
        except subprocess.CalledProcessError as error:
            self.why_not = error.stderr.strip()
        if self.why_not and os.environ.get("CI") == "true":
            raise RuntimeError(f"A full disk cannot be tried here: {self.why_not}")

    def unmount(self) -> None:
        self.empty()
        if not self.why_not:
            subprocess.run(["umount", "--lazy", str(self.path)], check=True)

    def fill(self) -> None:
        """To the last byte."""
        with self._ballast.open("ab") as file:
            for size in (1 << 20, 1 << 12, 1):
                try:
                    while True:
                        os.write(file.fileno(), bytes(size))
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise

    def empty(self) -> None:
        with suppress(FileNotFoundError):
            self._ballast.unlink()
