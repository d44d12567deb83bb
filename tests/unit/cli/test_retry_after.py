"""How long a server asks to be left alone."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import pytest

from cli.client.retry_after import asked_to_wait_s


@pytest.mark.parametrize(
    ("status", "after", "wait_s"),
    [
        (503, "5", 5),
        (429, "0", 0),
        (503, "9" * 5000, 999_999_999),
        (503, "Tue, 24 Nov 2026 08:00:00 GMT", 0),
        (503, "soon", None),
        (503, "-5", None),
        (503, "٣", None),
        (503, "", None),
        (500, "5", None),
        (200, "5", None),
    ],
)
def test_it_is_a_number_or_a_date(status, after, wait_s):
    """Anything else is no wish at all."""
    assert asked_to_wait_s(httpx.Response(status, headers={"retry-after": after.encode()})) == wait_s


def test_a_date_that_is_to_come_is_waited_for():
    """As proxies write it."""
    until = format_datetime(datetime.now(UTC) + timedelta(minutes=5), usegmt=True)
    wait_s = asked_to_wait_s(httpx.Response(503, headers={"retry-after": until}))
    assert wait_s is not None
    assert 200 < wait_s <= 300
