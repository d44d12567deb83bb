"""How long a task that failed waits before it is tried again."""

import random

from shared.errors import CascadeError

#: Retries wait a random time up to this, doubled for each attempt: random, so that tasks that failed together do not
#: come back together.
BACKOFF_S = 1.0

#: An upstream may ask for more patience than its error's own limit, but not for more than this.
MAX_RETRY_AFTER_S = 600.0


def backoff_s(attempt: int, error: CascadeError) -> float:
    """Full jitter over an exponential curve up to the error's own limit, and never sooner than the upstream asks."""
    delay_s = random.uniform(0, min(error.max_backoff_s, BACKOFF_S * 2 ** (attempt - 1)))
    return round(max(delay_s, min(error.retry_after_s or 0.0, MAX_RETRY_AFTER_S)), 3)
