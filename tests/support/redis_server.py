"""The Redis servers that the tests run against, and the launcher for one."""

import shutil

from bench.lib.redis_server import RedisServer
from cli.local_stack.redis_server import bundled_redis

__all__ = ["RedisServer", "redis_binaries"]


def redis_binaries() -> dict[str, str]:
    """The available servers: the one on the PATH, and the older one that is bundled for `cascade up`."""
    binaries = {"path": shutil.which("redis-server"), "bundled": bundled_redis()}
    return {name: path for name, path in binaries.items() if path}
