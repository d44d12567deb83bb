"""Translation from a domain error to the problem that a client receives."""

import math
from dataclasses import replace

from api.problems.catalogue import PROBLEMS, Problems
from api.problems.problem import Problem
from shared.errors import CascadeError

#: Retry-After if the error has no time of its own.
_RETRY_AFTER_S = 5

_KINDS = {kind.error: kind for kind in PROBLEMS if kind.error}


def problem_of(error: CascadeError) -> Problem:
    """The problem for a domain error. One that the catalogue does not list is a fault of the service, under its own
    code."""
    kind = _KINDS.get(type(error)) or replace(Problems.INTERNAL_ERROR, code=error.code)
    return Problem(kind, detail=error.public_message, retry_after_s=math.ceil(error.retry_after_s or _RETRY_AFTER_S))
