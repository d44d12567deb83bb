"""The delay that a server's response asks for."""

import httpx
import pytest

from cli.client.retry_after import requested_delay_s


@pytest.mark.parametrize(
    ("status", "header", "delay_s"),
    [
        (503, "5", 5),
        (429, "0", 0),
        (503, "soon", None),
        (503, "", None),
        (503, None, None),
        (500, "5", None),
        (200, "5", None),
    ],
)
def test_only_a_429_or_503_asks_for_a_delay(status: int, header: str | None, delay_s: float | None) -> None:
    """The Retry-After header counts in a 429 and a 503; any other response asks for no delay."""
    headers = {} if header is None else {"retry-after": header}
    assert requested_delay_s(httpx.Response(status, headers=headers)) == delay_s
