"""Delays before a request is sent again."""

import time
from collections.abc import Iterator

import httpx

from shared.retry_after import parse_retry_after

_FIRST_DELAY_S = 0.2
_MAX_DELAY_S = 5.0


def backoff_delays(timeout_s: float) -> Iterator[float]:
    """Growing delays between attempts, until `timeout_s` has passed."""
    deadline = time.monotonic() + timeout_s
    delay_s = _FIRST_DELAY_S
    while time.monotonic() < deadline:
        yield delay_s
        delay_s = min(2 * delay_s, _MAX_DELAY_S)


def requested_delay_s(response: httpx.Response) -> float | None:
    """The delay in seconds that a 429 or 503 response asks for in `Retry-After`; None for any other response."""
    if response.status_code not in (429, 503):
        return None
    return parse_retry_after(response.headers.get("retry-after", ""))
