"""Fixtures for all tests, and their distribution to pytest-xdist's workers."""

from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from xdist.scheduler import LoadScopeScheduling

from shared.queue.queue import Queue
from support.redis_server import RedisServer, redis_binaries

#: Folders whose tests share one resource: the containers, or the browser's event loop.
_FOLDERS_ON_ONE_WORKER = ("tests/browser/", "tests/docker/")


class FileScheduling(LoadScopeScheduling):
    """Runs all tests of a file, or of some folders, on one worker, so that their shared fixtures start once."""

    def _split_scope(self, nodeid: str) -> str:
        return next(
            (folder for folder in _FOLDERS_ON_ONE_WORKER if nodeid.startswith(folder)), nodeid.partition("::")[0]
        )


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> FileScheduling:
    """Replace the scheduler of `--dist loadgroup`, which sets a test's `_nodeid`; pytest 9.2 no longer reads that."""
    return FileScheduling(config, log)


def pytest_itemcollected(item: pytest.Item) -> None:
    """Give each test of schemathesis an id of its own: they differ only in name, and the scheduler goes by ids."""
    if item.parent and not item.nodeid.endswith(item.name):
        item._id = item.parent.id.child(item.name)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Refuse duplicate test ids: pytest-xdist would run only one of the tests, without a warning."""
    duplicates = [nodeid for nodeid, count in Counter(item.nodeid for item in session.items).items() if count > 1]
    if duplicates:
        raise pytest.UsageError(f"Several tests share an id: {duplicates}")


@pytest.fixture(scope="session", params=sorted(redis_binaries()))
def shared_redis(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A server for the whole session; the test runs once for each installed binary."""
    server = RedisServer(redis_binaries()[request.param], tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.kill()


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[RedisServer]:
    """A server for one test, which may kill and restart it."""
    directory = tmp_path / "redis"
    directory.mkdir()
    server = RedisServer(next(iter(redis_binaries().values())), directory)
    server.start()
    yield server
    server.kill()


@pytest.fixture
def redis(shared_redis: RedisServer) -> Iterator[Redis]:
    """A plain client of the emptied server, which reads and writes keys without the queue."""
    with Redis.from_url(shared_redis.url, decode_responses=True, encoding_errors="surrogateescape") as client:
        client.flushall()
        yield client


@pytest.fixture
async def queue(redis: Redis, shared_redis: RedisServer) -> AsyncIterator[Queue]:
    queue = Queue.connect(shared_redis.url)
    yield queue
    await queue.close()
