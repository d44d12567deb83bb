"""The rate limit, on a real Redis: for each client, and for all replicas together."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
import pytest
from redis import Redis

from api.app import create_app
from api.settings import ApiSettings
from support.redis_server import RedisServer

pytestmark = pytest.mark.redis

Replica = Callable[..., Awaitable[httpx.AsyncClient]]
KEYS = ("key-number-one-x", "key-number-two-x")


@pytest.fixture
async def replica(redis: Redis, shared_redis: RedisServer, tmp_path: Path) -> AsyncIterator[Replica]:
    """Starts an API on the emptied server, and gives a client of it at an address."""
    async with AsyncExitStack() as running:

        async def start(
            address: str = "203.0.113.7", url: str = shared_redis.url, **settings: str
        ) -> httpx.AsyncClient:
            app = create_app(ApiSettings(redis_url=url, data_dir=tmp_path, **{"rate_limit": "3/minute"} | settings))
            await running.enter_async_context(app.router.lifespan_context(app))
            transport = httpx.ASGITransport(app, client=(address, 5000))
            return await running.enter_async_context(httpx.AsyncClient(transport=transport, base_url="http://api"))

        yield start


async def statuses(client: httpx.AsyncClient, count: int, **headers: str) -> list[int]:
    """Of so many uploads without a form, which are 415 where they pass."""
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return [(await client.post("/transcribe", headers=names)).status_code for _ in range(count)]


async def test_one_too_many_is_told_when_to_come_back(replica: Replica) -> None:
    """429 says how long the window still lasts, and reading is not counted."""
    client = await replica()
    assert await statuses(client, 3) == [415, 415, 415]
    answer = await client.post("/transcribe")
    assert (answer.status_code, answer.json()["code"]) == (429, "rate_limited")
    assert 50 <= int(answer.headers["retry-after"]) <= 60
    assert answer.headers["retry-after"] in answer.json()["detail"]
    assert (await client.get("/queues")).status_code == 200


async def test_a_window_ends(replica: Replica) -> None:
    """After the told time there is service again."""
    client = await replica(rate_limit="2/second")
    told = await statuses(client, 3)
    assert told == [415, 415, 429]
    pause_s = int((await client.post("/transcribe")).headers["retry-after"])
    assert pause_s == 1
    await asyncio.sleep(pause_s + 0.05)
    assert await statuses(client, 1) == [415]


async def test_replicas_count_together(replica: Replica) -> None:
    """Asking another replica wins nothing."""
    assert await statuses(await replica(), 2) == [415, 415]
    assert await statuses(await replica(), 2) == [415, 429]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("203.0.113.7", "203.0.113.8", False),
        ("203.0.113.7", "::ffff:203.0.113.7", True),
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
    ],
)
async def test_who_is_who_by_address(replica: Replica, one: str, other: str, same: bool) -> None:
    """An IPv4 address is a client; of IPv6, a network of 64 bits is, since one household has as many."""
    assert await statuses(await replica(one), 3) == [415, 415, 415]
    assert await statuses(await replica(other), 1) == [429 if same else 415]


async def test_who_has_a_key_is_counted_by_it(replica: Replica) -> None:
    """Behind one address, each key has its own count; from two addresses, one key has one."""
    here, there = await replica(api_keys=",".join(KEYS)), await replica("198.51.100.1", api_keys=",".join(KEYS))
    assert await statuses(here, 3, X_API_Key=KEYS[0]) == [415, 415, 415]
    assert await statuses(here, 1, X_API_Key=KEYS[1]) == [415]
    assert await statuses(there, 1, Authorization=f"Bearer {KEYS[0]}") == [429]
    assert await statuses(here, 5) == [401] * 5


async def test_redis_learns_neither_key_nor_address(replica: Replica, redis: Redis) -> None:
    """What is stored names nobody, and goes by itself."""
    await statuses(await replica(), 1)
    await statuses(await replica(api_keys=",".join(KEYS)), 1, X_API_Key=KEYS[0])
    stored = redis.keys("*rate*")
    assert len(stored) == 2
    for key in stored:
        assert key.startswith("cascade:rate")
        assert not any(secret in key for secret in ("203.0.113.7", *KEYS))
        assert 0 < redis.ttl(key) <= 60


async def test_off_is_off(replica: Replica, redis: Redis) -> None:
    """Nobody is counted."""
    assert await statuses(await replica(rate_limit="off"), 9) == [415] * 9
    assert redis.keys("*rate*") == []


async def test_without_redis_it_is_the_queue_that_is_missing(replica: Replica, own_redis: RedisServer) -> None:
    """The limit is no other kind of error, and is there again when Redis is."""
    client = await replica(url=own_redis.url)
    assert await statuses(client, 1) == [415]
    own_redis.kill()
    answer = await client.post("/transcribe")
    assert (answer.status_code, answer.json()["code"]) == (503, "queue_unavailable")
    assert int(answer.headers["retry-after"]) > 0
    own_redis.start()
    assert await statuses(client, 1) == [415]
