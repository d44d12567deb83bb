"""What a failing model server means for a job, in one table for every engine.

The errors made here go to the public, so the server's own words are logged and not passed on. They are raised
`from None`: the libraries' exceptions carry the request, and with it the key.
"""

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import structlog

from shared.errors import AnswerBlocked, LanguageModelError, ModelRefused, ModelUnavailable

_log = structlog.get_logger()

_DETAIL_CHARS = 300
# 408 and 409 are a server's own timeout and lock, 425 and 429 ask for patience.
_MAY_PASS = frozenset({408, 409, 425, 429})


def status_fault(
    status: int | None, *, engine: str, detail: str, key: str, retry_after_s: float | None = None
) -> LanguageModelError:
    """What to raise for an error status; None is an error that came in the middle of an answer without one."""
    said = (detail.replace(key, "***") if key else detail)[:_DETAIL_CHARS]
    _log.warning("model_server_error", engine=engine, http_status=status, detail=said)
    if status is None or status >= 500 or status in _MAY_PASS:
        return ModelUnavailable(retry_after_s=retry_after_s)
    return ModelRefused()


def transport_fault(error: Exception, *, engine: str) -> ModelUnavailable:
    """What to raise when the connection fails or what comes out of it makes no sense."""
    _log.warning("model_server_unreachable", engine=engine, kind=type(error).__name__)
    return ModelUnavailable()


def cut_off(engine: str) -> ModelUnavailable:
    """What to raise for an answer that stopped without saying that it was whole."""
    _log.warning("model_answer_cut_off", engine=engine)
    return ModelUnavailable("The language model's answer was cut off.")


def blocked(engine: str, reason: str) -> AnswerBlocked:
    """What to raise when the model declined."""
    _log.warning("model_answer_blocked", engine=engine, reason=reason)
    return AnswerBlocked()


def empty(engine: str, *, limit_reached: bool) -> AnswerBlocked:
    """What to raise for an answer without a word in it."""
    # Thinking is paid from the same allowance: a small LLM_MAX_TOKENS can be used up before the first word.
    hint = "The model used LLM_MAX_TOKENS up before its first word. Raise it." if limit_reached else None
    _log.warning("model_answer_empty", engine=engine, hint=hint)
    return AnswerBlocked("The language model gave an empty answer.")


def read_retry_after(headers: Mapping[str, str]) -> float | None:
    """The delay in seconds that a `Retry-After` header asks for: a number or a date."""
    value = next((value for name, value in headers.items() if name.lower() == "retry-after"), "")
    seconds = read_seconds(value)
    if seconds is not None or not value:
        return seconds
    try:
        due = parsedate_to_datetime(value)
    except (ValueError, OverflowError):  # the latter for a year or a time zone of twenty digits
        return None
    due = due if due.tzinfo else due.replace(tzinfo=UTC)
    return max(0.0, (due - datetime.now(UTC)).total_seconds())


def read_seconds(value: object) -> float | None:
    """A delay such as `7`, `7.5` or Google's `7s`; None for anything else."""
    try:
        seconds = float(str(value).strip().removesuffix("s"))
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) and seconds >= 0 else None
