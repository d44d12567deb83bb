"""What a request must pass before anything else looks at it, and before a byte of its body is read."""

from collections.abc import Set

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from api.middleware.api_keys import CHALLENGE, Keys
from api.middleware.rate_limit import Rates, by_address
from api.middleware.same_origin import is_cross_site, is_known_host
from api.problems import render as problems
from api.problems.render import Problem
from api.settings import ApiSettings, listed
from shared.errors import CascadeError
from shared.queue.queue import Queue

#: For whoever looks after the process: open to all, under any name.
OPEN = {"/healthz", "/readyz"}


class AccessMiddleware:
    """Refuses unknown names, foreign pages, missing keys and too frequent callers, in this order."""

    def __init__(self, app: ASGIApp, settings: ApiSettings, queue: Queue, keyless: Set[str] = frozenset()) -> None:
        """`keyless` are addresses without data, which need no key."""
        self._app, self._keyless = app, keyless
        self._hosts = set(listed(settings.api_hosts.lower()))
        self._origins = listed(settings.cors_origins)
        self._keys = Keys(listed(settings.api_keys.get_secret_value()))
        self._rates = Rates(settings.rate_limit, queue)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] not in OPEN:
            try:
                await self._check(scope, Headers(scope=scope))
            except (Problem, CascadeError) as refusal:
                await problems.answer(refusal)(scope, receive, send)
                return
        await self._app(scope, receive, send)

    async def _check(self, scope: Scope, headers: Headers) -> None:
        if self._hosts and not is_known_host(headers, self._hosts):
            raise Problem(421, "unknown_host", "The service does not answer to that name. API_HOSTS may add it.")
        if is_cross_site(scope["method"], headers, self._origins):
            raise Problem(403, "cross_site", "A page of another site may not do this. CORS_ORIGINS may allow it.")
        client = by_address(scope["client"][0]) if scope.get("client") else ""
        if self._keys and scope["path"] not in self._keyless:
            key = self._keys.carried(headers)
            if key is None:
                detail = "Send a key, as `Authorization: Bearer`, as `X-API-Key`, or as the password of HTTP Basic."
                raise Problem(401, "unauthorized", detail, {"WWW-Authenticate": CHALLENGE})
            client = key
        if scope["method"] == "POST":
            await self._rates.count(client)
