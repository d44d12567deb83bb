"""Map the failures of a model server to the product's errors, in one table for every engine.

The errors made here are public, so the server's own message is logged and not included. They are raised `from None`:
the libraries' exceptions carry the request, and with it the key.
"""

from collections.abc import Mapping

from shared.errors import AnswerBlocked, LanguageModelError, ModelRefused, ModelUnavailable
from shared.logs import get_logger
from shared.retry_after import parse_retry_after

log = get_logger()

#: Characters of a server's message that are logged.
_DETAIL_CHARS = 300

#: Client errors that are transient: 408 and 409 are a server's own timeout and lock, 425 and 429 ask for a later try.
_TRANSIENT_STATUSES = frozenset({408, 409, 425, 429})


def status_error(
    status: int | None, *, engine: str, detail: str, key: str, retry_after_s: float | None = None
) -> LanguageModelError:
    """The error for an HTTP status; None is a failure in the middle of a stream, which has no status."""
    redacted = detail.replace(key, "***") if key else detail
    log.warning("model_request_failed", engine=engine, http_status=status, detail=redacted[:_DETAIL_CHARS])
    if status is None or status >= 500 or status in _TRANSIENT_STATUSES:
        return ModelUnavailable(retry_after_s=retry_after_s)
    return ModelRefused()


def transport_error(error: Exception, *, engine: str) -> ModelUnavailable:
    """The error for a connection that fails, or a response that cannot be parsed."""
    log.warning("model_connection_failed", engine=engine, kind=type(error).__name__)
    return ModelUnavailable()


def cut_off_error(engine: str) -> ModelUnavailable:
    """The error for a stream that ended without a finish reason of a whole reply."""
    log.warning("model_reply_cut_off", engine=engine)
    return ModelUnavailable("The language model's answer was cut off.")


def blocked_error(engine: str, reason: str) -> AnswerBlocked:
    """The error for a reply that the model declined to give or to finish."""
    log.warning("model_reply_blocked", engine=engine, reason=reason)
    return AnswerBlocked()


def empty_error(engine: str, *, limit_reached: bool) -> AnswerBlocked:
    """The error for a reply without words."""
    # Thinking counts against the same limit: a small LLM_MAX_TOKENS can be used up before the first word.
    hint = "The model used up LLM_MAX_TOKENS before its first word. Raise it." if limit_reached else None
    log.warning("model_reply_empty", engine=engine, hint=hint)
    return AnswerBlocked("The language model gave an empty answer.")


def read_retry_after(headers: Mapping[str, str]) -> float | None:
    """The delay in seconds that the `Retry-After` header asks for; None without a valid one."""
    value = next((value for name, value in headers.items() if name.lower() == "retry-after"), "")
    return parse_retry_after(value)
