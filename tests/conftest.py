"""Fixtures that tests of every cost share."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from redis import Redis

from redis_server import RedisServer, redis_binaries
from shared.queue import Queue


@pytest.fixture(scope="session", params=sorted(redis_binaries()))
def shared_redis(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A server for the whole session, once for each binary that is to be had here."""
    server = RedisServer(redis_binaries()[request.param], tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.kill()


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[RedisServer]:
    """A server of the test's own, to be killed and started again."""
    directory = tmp_path / "redis"
    directory.mkdir()
    server = RedisServer(next(iter(redis_binaries().values())), directory)
    server.start()
    yield server
    server.kill()


@pytest.fixture
def redis(shared_redis: RedisServer) -> Iterator[Redis]:
    """A plain client on the emptied server, to look behind the queue's back."""
    with Redis.from_url(shared_redis.url, decode_responses=True, encoding_errors="surrogateescape") as client:
        client.flushall()
        yield client


@pytest.fixture
async def queue(redis: Redis, shared_redis: RedisServer) -> AsyncIterator[Queue]:
    queue = Queue.connect(shared_redis.url)
    yield queue
    await queue.close()
