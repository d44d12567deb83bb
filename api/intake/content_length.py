"""The length that a request declares for its body."""

from starlette.datastructures import Headers


def declares_more_than(headers: Headers, max_bytes: int) -> bool:
    """True if Content-Length is more than `max_bytes`; False where it is absent or not a number."""
    declared = headers.get("content-length", "")
    # As a float: int() refuses more than 4,300 digits, and the client chooses how many there are.
    return declared.isdecimal() and float(declared) > max_bytes
