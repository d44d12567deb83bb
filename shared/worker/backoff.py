"""Delays between attempts at a failed task, and between attempts to reach Redis."""

import random

from shared.errors import CascadeError

#: Delay between two attempts to reach Redis.
RECONNECT_S = 0.25

#: The longest delay before a second attempt, doubled for each further one. The delay is a random part of it, so
#: that tasks that failed together do not return together.
BACKOFF_S = 1.0

#: An upstream's Retry-After may exceed the error's own limit, but not this.
MAX_RETRY_AFTER_S = 600.0


def backoff_s(attempt: int, error: CascadeError) -> float:
    """Full jitter over an exponential curve up to the error's own limit, but at least the upstream's Retry-After."""
    delay_s = random.uniform(0, min(error.max_backoff_s, BACKOFF_S * 2 ** (attempt - 1)))
    return round(max(delay_s, min(error.retry_after_s or 0.0, MAX_RETRY_AFTER_S)), 3)
