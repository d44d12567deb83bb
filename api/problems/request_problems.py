"""Problems of any request: the connection, access, the address and its parameters."""

from api.problems.problem import RETRY_AFTER, ProblemType
from shared.errors import CascadeError


class RequestProblems:
    """Problems that do not depend on the route."""

    # The connection

    MALFORMED_REQUEST = ProblemType(
        400,
        "malformed_request",
        "This is not HTTP/1.1. If it is TLS, use an http:// address here.",
        "The bytes on a connection are not HTTP.",
    )
    REQUEST_STALLED = ProblemType(
        408,
        "request_stalled",
        "The head of the request was too slow. Send it again.",
        "Request line and headers are not complete 10 s after the connection was opened or the last response sent.",
    )
    HEAD_TOO_LARGE = ProblemType(
        431,
        "head_too_large",
        "The head of the request is larger than {max_bytes:,} bytes.",
        "Request line and headers, or trailers and chunk extensions, are too large.",
        example={"max_bytes": 32_768},
    )

    # Access

    UNKNOWN_HOST = ProblemType(
        421,
        "unknown_host",
        "The service does not accept this host name. Add it to API_HOSTS to allow it.",
        "The Host header is not in API_HOSTS.",
    )
    UNAUTHORIZED = ProblemType(
        401,
        "unauthorized",
        "Send a key, as `Authorization: Bearer`, as `X-API-Key`, or as the password of HTTP Basic.",
        "API_KEYS is set and the request carries none of its keys.",
        # Basic makes a browser ask for the key, and lets its fetch, EventSource and <audio> carry it from then on.
        headers={"WWW-Authenticate": 'Basic realm="Cascade", charset="UTF-8", Bearer realm="Cascade"'},
    )
    CROSS_SITE = ProblemType(
        403,
        "cross_site",
        "Pages of other sites may not send this request. Add the site's origin to CORS_ORIGINS to allow it.",
        "A page of another origin makes a browser send a request that changes something.",
    )
    RATE_LIMITED = ProblemType(
        429,
        "rate_limited",
        "The rate limit is {limit}. Try again in {retry_after_s} s.",
        "A client sends more POST requests than RATE_LIMIT allows.",
        example={"limit": "120 per 1 minute", "retry_after_s": 20},
        headers=RETRY_AFTER,
    )

    # Any request

    NOT_FOUND = ProblemType(
        404, "not_found", "There is nothing at this address.", "The API and its page have no such path."
    )
    METHOD_NOT_ALLOWED = ProblemType(
        405,
        "method_not_allowed",
        "This address does not support the method. The Allow header lists those that it does.",
        "The path exists, but not for this method.",
        example={"allowed": "GET, HEAD"},
        headers={"Allow": "{allowed}"},
    )
    INVALID_REQUEST = ProblemType(
        422,
        "invalid_request",
        "Correct the request: {faults}.",
        "A header, a query parameter or a part of the path has an invalid value.",
        example={"faults": "the query wait must be at most 60"},
    )
    HTTP_ERROR = ProblemType(
        400,
        "http_error",
        "{reason}.",
        "The web framework refuses a request, with any 4xx status that no other code covers.",
        example={"reason": "Bad Request"},
    )
    INTERNAL_ERROR = ProblemType.of_error(500, CascadeError, "A fault in the service. The log has the cause.")
