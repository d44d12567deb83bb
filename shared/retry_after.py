"""Parsers of the `Retry-After` header and of delays in seconds."""

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

#: Longer delays are cut to this, about 31 years: a number of hundreds of digits would become infinite.
MAX_DELAY_S = 1e9

#: `7`, `7.5`, and `7.5s` as Google writes a duration.
_SECONDS = re.compile(r"\s*(\d+(?:\.\d*)?(?:e[+-]?\d+)?)s?\s*", re.ASCII | re.IGNORECASE)


def parse_retry_after(value: str) -> float | None:
    """The delay in seconds that a `Retry-After` header asks for, as a number or as a date; None if it is neither."""
    seconds = parse_seconds(value)
    if seconds is not None:
        return seconds
    try:
        due = parsedate_to_datetime(value)
    except (ValueError, OverflowError):  # the latter for a year or a time zone of twenty digits
        return None
    due = due if due.tzinfo else due.replace(tzinfo=UTC)
    return max(0.0, (due - datetime.now(UTC)).total_seconds())


def parse_seconds(value: str) -> float | None:
    """The seconds in a delay such as `7`, `7.5` or `7.5s`; None for any other text."""
    match = _SECONDS.fullmatch(value)
    return min(float(match[1]), MAX_DELAY_S) if match else None
