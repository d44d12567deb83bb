"""How long to wait for a server."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.2, 5.0


def pauses(patience_s: float) -> Iterator[float]:
    """Ever longer waits between attempts, until the patience is over."""
    deadline = time.monotonic() + patience_s
    pause_s = _FIRST_PAUSE_S
    while time.monotonic() < deadline:
        yield pause_s
        pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)


def asked_to_wait_s(answer: httpx.Response) -> float | None:
    """How long the server wants to be left alone before it is asked again, if it says so."""
    after = answer.headers.get("retry-after", "").strip()
    if answer.status_code not in (429, 503) or not after:
        return None
    if after.isascii() and after.isdecimal():
        return min(float(after[:9]), 1e9)
    try:
        until = parsedate_to_datetime(after)
    except ValueError:
        return None
    until = until if until.tzinfo else until.replace(tzinfo=UTC)
    return max((until - datetime.now(UTC)).total_seconds(), 0)
