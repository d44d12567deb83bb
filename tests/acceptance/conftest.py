"""A stack of real processes."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from redis_server import RedisServer, redis_binaries
from services import Services


@pytest.fixture
def services(own_redis: RedisServer, tmp_path: Path) -> Iterator[Services]:
    """Not started yet; with engines that are as slow as the test wants."""
    data_dir = tmp_path / "volume"
    data_dir.mkdir()
    services = Services(own_redis.url, data_dir)
    yield services
    services.stop()


@pytest.fixture(scope="session")
def redis_for_all(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A server that no test kills."""
    server = RedisServer(next(iter(redis_binaries().values())), tmp_path_factory.mktemp("redis-for-all"))
    server.start()
    yield server
    server.kill()
