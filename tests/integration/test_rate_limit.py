"""The rate limit on a real Redis, for each client and across replicas."""

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
    """Return a function that starts an API on the emptied server, and returns a client with an address."""
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
    """Return the statuses of `count` uploads without a form: 415 where the rate limit lets them pass."""
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return [(await client.post("/transcribe", headers=names)).status_code for _ in range(count)]


async def test_request_over_the_limit_is_429_with_retry_after(replica: Replica) -> None:
    """A request over the limit is answered with 429 and the rest of the window; a GET is not limited."""
    client = await replica()
    assert await statuses(client, 3) == [415, 415, 415]
    response = await client.post("/transcribe")
    assert (response.status_code, response.json()["code"]) == (429, "rate_limited")
    assert 50 <= int(response.headers["retry-after"]) <= 60
    assert response.headers["retry-after"] in response.json()["detail"]
    assert (await client.get("/queues")).status_code == 200


async def test_a_window_ends(replica: Replica) -> None:
    """A client is served again after the seconds of Retry-After."""
    client = await replica(rate_limit="2/second")
    assert await statuses(client, 3) == [415, 415, 429]
    pause_s = int((await client.post("/transcribe")).headers["retry-after"])
    assert pause_s == 1
    await asyncio.sleep(pause_s + 0.05)
    assert await statuses(client, 1) == [415]


async def test_replicas_count_together(replica: Replica) -> None:
    """Requests to two replicas count against one limit."""
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
async def test_clients_are_distinguished_by_address(replica: Replica, one: str, other: str, same: bool) -> None:
    """An IPv4 address is one client, and so is an IPv6 network of 64 bits, which one household has."""
    assert await statuses(await replica(one), 3) == [415, 415, 415]
    assert await statuses(await replica(other), 1) == [429 if same else 415]


async def test_client_with_an_api_key_is_counted_by_the_key(replica: Replica) -> None:
    """Two keys behind one address have a count each, and one key from two addresses has one."""
    first = await replica(api_keys=",".join(KEYS))
    second = await replica("198.51.100.1", api_keys=",".join(KEYS))
    assert await statuses(first, 3, X_API_Key=KEYS[0]) == [415, 415, 415]
    assert await statuses(first, 1, X_API_Key=KEYS[1]) == [415]
    assert await statuses(second, 1, Authorization=f"Bearer {KEYS[0]}") == [429]
    assert await statuses(first, 5) == [401] * 5


async def test_redis_stores_neither_key_nor_address(replica: Replica, redis: Redis) -> None:
    """The counters in Redis contain neither an API key nor an address, and expire."""
    await statuses(await replica(), 1)
    await statuses(await replica(api_keys=",".join(KEYS)), 1, X_API_Key=KEYS[0])
    stored = redis.keys("*rate*")
    assert len(stored) == 2
    for key in stored:
        assert key.startswith("cascade:rate")
        assert not any(secret in key for secret in ("203.0.113.7", *KEYS))
        assert 0 < redis.ttl(key) <= 60


async def test_no_client_is_counted_without_a_limit(replica: Replica, redis: Redis) -> None:
    """With RATE_LIMIT=off every request passes, and Redis stores no counter."""
    assert await statuses(await replica(rate_limit="off"), 9) == [415] * 9
    assert redis.keys("*rate*") == []


async def test_request_is_503_while_redis_is_down(replica: Replica, own_redis: RedisServer) -> None:
    """A request that cannot be counted is answered with 503 `queue_unavailable`, and is served when Redis is back."""
    client = await replica(url=own_redis.url)
    assert await statuses(client, 1) == [415]
    own_redis.kill()
    response = await client.post("/transcribe")
    assert (response.status_code, response.json()["code"]) == (503, "queue_unavailable")
    assert int(response.headers["retry-after"]) > 0
    own_redis.start()
    assert await statuses(client, 1) == [415]
