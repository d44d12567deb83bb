"""Fixtures that tests of every cost share."""

from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from xdist.scheduler import LoadScopeScheduling

from shared.queue.queue import Queue
from support.redis_server import RedisServer, redis_binaries

#: Folders whose tests share what there is once: the containers, and the browser's event loop.
_ON_ONE_WORKER = ("tests/browser/", "tests/docker/")


class Together(LoadScopeScheduling):
    """Keeps a file's tests on one worker, or a folder's, so that what they share is started once."""

    def _split_scope(self, nodeid: str) -> str:
        return next((folder for folder in _ON_ONE_WORKER if nodeid.startswith(folder)), nodeid.partition("::")[0])


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Together:
    """In the place of `--dist loadgroup`: it writes a group into `_nodeid`, which pytest 9.2 reads no more."""
    return Together(config, log)


def pytest_itemcollected(item: pytest.Item) -> None:
    """The scheduler knows tests by their ids; schemathesis names its tests by operation, but gives all the same id."""
    if item.parent and not item.nodeid.endswith(item.name):
        item._id = item.parent.id.child(item.name)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Of two with one id only one would be run, and nobody would be told."""
    twice = [nodeid for nodeid, count in Counter(item.nodeid for item in session.items).items() if count > 1]
    if twice:
        raise pytest.UsageError(f"These ids are not of one test each: {twice}")


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
