"""Rate limit for the requests of one client. Counted in Redis, so that it holds for all replicas together."""

import hashlib
import math
import time
from ipaddress import IPv6Address, ip_address

from api.problems.catalogue import Problems
from api.problems.problem import Problem
from shared.queue.queue import Queue

#: The prefix of every counter's key.
_PREFIX = "cascade:rate"

#: A household or a server has at least a /64 network of IPv6, and may use a new address of it each second.
_IPV6_PREFIX_BITS = 64


class RateLimiter:
    """Counts requests by client, in windows that begin with a client's first one."""

    def __init__(self, limit: str, queue: Queue) -> None:
        # Not at the top: the library takes a tenth of a second. The server builds this before it accepts a connection.
        from limits import parse
        from limits.aio.storage import RedisStorage
        from limits.aio.strategies import FixedWindowRateLimiter

        self._limit = None if limit == "off" else parse(limit)
        self._client = queue.client
        storage = RedisStorage(
            "async+redis://", implementation="redispy", key_prefix=_PREFIX, connection_pool=queue.client.pool
        )
        self._limiter = FixedWindowRateLimiter(storage)

    async def count(self, client: str) -> None:
        """Count one request.

        Raises:
            Problem: the client has sent too many.
            QueueUnavailable: Redis does not answer.
        """
        if self._limit is None:
            return
        name = hashlib.sha256(client.encode()).hexdigest()[:32]
        pause_s: int = await self._client.retry_once(self._hit, name)
        if pause_s:
            raise Problem(Problems.RATE_LIMITED, limit=self._limit, retry_after_s=pause_s)

    async def _hit(self, name: str) -> int:
        """Count one request. Return the seconds to wait, or 0 if it may pass."""
        assert self._limit is not None
        if await self._limiter.hit(self._limit, name):
            return 0
        reset_at, _ = await self._limiter.get_window_stats(self._limit, name)
        return max(1, math.ceil(reset_at - time.time()))


def client_of_address(host: str) -> str:
    """The client for which requests from an address are counted: an IPv4 address, or an IPv6 network."""
    try:
        address = ip_address(host)
    except ValueError:
        return host
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped:
            return str(address.ipv4_mapped)
        return str(int(address) >> (128 - _IPV6_PREFIX_BITS))
    return str(address)
