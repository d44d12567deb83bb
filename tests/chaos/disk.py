"""A small disk that can be filled."""

import errno
import os
import subprocess
from contextlib import suppress
from pathlib import Path


class Disk:
    """A small tmpfs, or an ordinary folder where it cannot be mounted."""

    def __init__(self, path: Path, size_mb: int) -> None:
        self.path = path
        self._ballast = path / "ballast"
        self._size_mb = size_mb
        self.unavailable_reason: str | None = None
        """The reason why it is an ordinary folder, which cannot be filled; else None."""

    def mount(self) -> None:
        self.path.mkdir(parents=True, exist_ok=True)
        command = ["mount", "-t", "tmpfs", "-o", f"size={self._size_mb}m", "tmpfs", str(self.path)]
        try:
            subprocess.run(command, check=True, capture_output=True, text=True)
        except FileNotFoundError:
            self.unavailable_reason = "there is no mount command"
        except subprocess.CalledProcessError as error:
            self.unavailable_reason = error.stderr.strip()
        if self.unavailable_reason and os.environ.get("CI") == "true":
            raise RuntimeError(f"No disk can be mounted: {self.unavailable_reason}")

    def unmount(self) -> None:
        self.free()
        if not self.unavailable_reason:
            subprocess.run(["umount", "--lazy", str(self.path)], check=True)

    def fill(self) -> None:
        """Fill the disk to the last byte."""
        with self._ballast.open("ab") as file:
            for size in (1 << 20, 1 << 12, 1):
                try:
                    while True:
                        os.write(file.fileno(), bytes(size))
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise

    def free(self) -> None:
        """Free the space that `fill` has taken."""
        with suppress(FileNotFoundError):
            self._ballast.unlink()
