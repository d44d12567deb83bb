"""The mark of a request that follows a job, by its audio or its events. Its connection counts as a listener's, not as
an ordinary one."""

from collections.abc import Mapping
from typing import Any

from starlette.types import Scope

_KEY = "follows_job"


def mark_listener(scope: Scope) -> None:
    """Mark a request as one that follows a job."""
    scope.setdefault("state", {})[_KEY] = True


def is_listener(scope: Mapping[str, Any]) -> bool:
    """True if a request carries the mark."""
    return bool(scope.get("state", {}).get(_KEY))
