"""Parsing of delays: the `Retry-After` header, and seconds."""

import math
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.retry_after import MAX_DELAY_S, parse_retry_after, parse_seconds

#: Dates with fields out of range, or of far too many digits.
DATES = st.builds(
    "{}, {} {} {} {}:{}:{} {}".format,
    st.sampled_from(["Mon", "Tue", "x", ""]),
    st.integers(0, 10**25),
    st.sampled_from(["Jan", "Feb", "Dec", "Foo"]),
    st.integers(0, 10**25),
    st.integers(0, 99),
    st.integers(0, 99),
    st.integers(0, 99),
    st.sampled_from(["GMT", "EST", "+0100", "-2399"]) | st.integers(0, 10**25).map("+{}".format),
)


@pytest.mark.parametrize(
    ("value", "delay_s"),
    [
        ("5", 5),
        (" 5 ", 5),
        ("0", 0),
        ("0.5", 0.5),
        ("7s", 7),
        ("9" * 5000, MAX_DELAY_S),
        ("Tue, 24 Nov 2026 08:00:00 GMT", 0),
        ("soon", None),
        ("-5", None),
        ("nan", None),
        ("inf", None),
        ("1_0", None),
        ("٣", None),
        ("", None),
        ("Mon, 1 Jan 2020 00:00:00 +99999999999999", None),
        (f"Mon, {'9' * 20} Jan 2020 00:00:00 GMT", None),
    ],
)
def test_header_is_a_number_or_a_date(value: str, delay_s: float | None) -> None:
    """A header with a number or a date becomes a delay in seconds, a past date no delay, and any other header None."""
    assert parse_retry_after(value) == delay_s


def test_date_in_the_future_is_a_delay_from_now() -> None:
    """A date five minutes ahead, as proxies write it, becomes a delay of about 300 seconds."""
    delay_s = parse_retry_after(format_datetime(datetime.now(UTC) + timedelta(minutes=5), usegmt=True))
    assert delay_s is not None
    assert 200 < delay_s <= 300


@given(st.datetimes(datetime(2031, 1, 1), datetime(2090, 1, 1)))
def test_any_date_is_a_delay_from_now(due: datetime) -> None:
    """A date becomes the time from now until it."""
    due = due.replace(microsecond=0, tzinfo=UTC)
    delay_s = parse_retry_after(format_datetime(due, usegmt=True))
    assert delay_s == pytest.approx(max(0.0, (due - datetime.now(UTC)).total_seconds()), abs=5)


@given(st.text(max_size=60) | DATES | st.from_regex(r"[-+]?[0-9_.eE]{1,9}s?|inf(inity)?s?|-?nan", fullmatch=True))
def test_any_header_is_a_finite_delay_or_none(value: str) -> None:
    """No header raises an exception, or makes a client wait forever or for a negative time."""
    delay_s = parse_retry_after(value)
    assert delay_s is None or (math.isfinite(delay_s) and delay_s >= 0)


@given(st.floats(0, 1e9, allow_nan=False), st.sampled_from(["{}", " {} ", "{}s"]))
def test_seconds_are_parsed_in_each_format(seconds: float, template: str) -> None:
    """A number of seconds is parsed with blanks around it, and with Google's `s` behind it."""
    assert parse_seconds(template.format(seconds)) == seconds
