"""The keys that open the API, and how a request carries one."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable, Iterator

from starlette.datastructures import Headers

#: Told with a 401. Basic makes a browser ask, and lets its fetch, EventSource and <audio> carry the key from then on.
CHALLENGE = 'Basic realm="Cascade", charset="UTF-8", Bearer realm="Cascade"'


class Keys:
    """Known by their digests alone: equal in length, so that comparing takes the same time whatever was sent."""

    def __init__(self, keys: Iterable[str]) -> None:
        self._digests = [_digest(key.encode()) for key in keys]

    def __bool__(self) -> bool:
        return bool(self._digests)

    def carried(self, headers: Headers) -> str | None:
        """A name for the key that a request carries, which does not give it away; None if it carries none of ours."""
        offered = [_digest(key) for key in _offered(headers)]
        matches = [key.hex() for key in self._digests for other in offered if hmac.compare_digest(key, other)]
        return matches[0] if matches else None


def _offered(headers: Headers) -> Iterator[bytes]:
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
