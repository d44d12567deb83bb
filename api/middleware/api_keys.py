"""API keys, and the headers in which a request may carry one."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable, Iterator

from starlette.datastructures import Headers


class ApiKeys:
    """The accepted keys, as digests: all have the same length, so a comparison takes the same time whatever a request
    carries."""

    def __init__(self, keys: Iterable[str]) -> None:
        self._digests = [_digest(key.encode()) for key in keys]

    def __bool__(self) -> bool:
        return bool(self._digests)

    def match(self, headers: Headers) -> str | None:
        """The digest of the accepted key that a request carries, which names the client without revealing the key; None
        if it carries none."""
        sent = [_digest(key) for key in _keys_in(headers)]
        matches = [key.hex() for key in self._digests for other in sent if hmac.compare_digest(key, other)]
        return matches[0] if matches else None


def _keys_in(headers: Headers) -> Iterator[bytes]:
    for key in headers.getlist("x-api-key"):
        yield key.encode("latin-1")
    for authorization in headers.getlist("authorization"):
        scheme, _, credentials = authorization.partition(" ")
        if scheme.lower() == "bearer":
            yield credentials.strip().encode("latin-1")
        elif scheme.lower() == "basic":
            try:
                _user, _, password = base64.b64decode(credentials.strip(), validate=True).partition(b":")
            except (binascii.Error, ValueError):
                continue
            yield password


def _digest(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()
