"""Access checks: every request passes them before a route sees it, and before a byte of its body is read."""

from collections.abc import Set

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from api.middleware.api_keys import ApiKeys
from api.middleware.rate_limit import RateLimiter, client_of_address
from api.middleware.same_origin import is_cross_site, is_known_host
from api.problems.catalogue import Problems
from api.problems.problem import Problem
from api.problems.render import render
from api.settings import ApiSettings, split_commas
from shared.errors import CascadeError
from shared.queue.queue import Queue

#: For the operator's health checks: open to everyone, under any host name.
OPEN_PATHS = {"/healthz", "/readyz"}


class AccessMiddleware:
    """Refuses unknown host names, cross-site requests, missing keys and clients above the rate limit, in this order."""

    def __init__(
        self, app: ASGIApp, settings: ApiSettings, queue: Queue, keyless_paths: Set[str] = frozenset()
    ) -> None:
        """`keyless_paths` serve no data, and need no key."""
        self._app = app
        self._keyless_paths = keyless_paths
        self._hosts = set(split_commas(settings.api_hosts.lower()))
        self._origins = split_commas(settings.cors_origins)
        self._keys = ApiKeys(split_commas(settings.api_keys.get_secret_value()))
        self._rate_limiter = RateLimiter(settings.rate_limit, queue)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] not in OPEN_PATHS:
            try:
                await self._check(scope, Headers(scope=scope))
            except (Problem, CascadeError) as refusal:
                await render(refusal)(scope, receive, send)
                return
        await self._app(scope, receive, send)

    async def _check(self, scope: Scope, headers: Headers) -> None:
        """Raises:
        Problem: the request may not pass.
        QueueUnavailable: Redis, which counts the requests, does not answer.
        """
        if self._hosts and not is_known_host(headers, self._hosts):
            raise Problem(Problems.UNKNOWN_HOST)
        if is_cross_site(scope["method"], headers, self._origins):
            raise Problem(Problems.CROSS_SITE)
        client = client_of_address(scope["client"][0]) if scope.get("client") else ""
        if self._keys and scope["path"] not in self._keyless_paths:
            key = self._keys.match(headers)
            if key is None:
                raise Problem(Problems.UNAUTHORIZED)
            client = key
        if scope["method"] == "POST":
            await self._rate_limiter.count(client)
