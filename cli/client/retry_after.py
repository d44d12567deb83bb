"""How long to wait for a server."""

import time
from collections.abc import Iterator

import httpx

from shared.retry_after import parse_retry_after

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.2, 5.0


def pauses(patience_s: float) -> Iterator[float]:
    """Ever longer waits between attempts, until the patience is over."""
    deadline = time.monotonic() + patience_s
    pause_s = _FIRST_PAUSE_S
    while time.monotonic() < deadline:
        yield pause_s
        pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)


def asked_to_wait_s(answer: httpx.Response) -> float | None:
    """The delay in seconds that a 429 or 503 response asks for in `Retry-After`; None for any other response."""
    if answer.status_code not in (429, 503):
        return None
    return parse_retry_after(answer.headers.get("retry-after", ""))
