"""A problem type, as the catalogue lists it, and the exception that refuses a request with one."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from shared.errors import CascadeError

#: The header of a refusal that is temporary. Its parameter is the time after which another try may succeed.
RETRY_AFTER = {"Retry-After": "{retry_after_s}"}


@dataclass(frozen=True)
class ProblemType:
    """One kind of error (RFC 9457)."""

    status: int
    """The HTTP status."""

    code: str
    """A stable identifier for programs."""

    sentence: str
    """The fault and its remedy, for people. Parameters stand in braces, as for `str.format`."""

    when: str
    """When it is raised, for the list of errors in the documentation."""

    example: Mapping[str, Any] = field(default_factory=dict)
    """A value for each parameter of the sentence and the headers, for the OpenAPI document."""

    headers: Mapping[str, str] = field(default_factory=dict)
    """Response headers in addition to those of every response. Their values may have parameters too."""

    error: type[CascadeError] | None = None
    """The domain error that becomes this problem, if there is one."""

    @classmethod
    def of_error(
        cls,
        status: int,
        error: type[CascadeError],
        when: str,
        example: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> "ProblemType":
        """The problem that a domain error becomes; its code and its sentence are the error's."""
        return cls(status, error.code, error.message, when, example or {}, headers or {}, error)


class Problem(Exception):
    """A request is refused, or its response cannot be made."""

    def __init__(self, kind: ProblemType, /, *, detail: str | None = None, **parameters: Any) -> None:
        """Fill in the type's sentence and headers with `parameters`; `detail` replaces the sentence."""
        self.status = kind.status
        self.code = kind.code
        self.detail = kind.sentence.format(**parameters) if detail is None else detail
        self.headers = {name: value.format(**parameters) for name, value in kind.headers.items()}
        super().__init__(self.detail)
