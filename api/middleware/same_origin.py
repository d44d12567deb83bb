"""Checks on a request's origin: the host name it was sent to, and the web page that made a browser send it."""

from collections.abc import Collection
from urllib.parse import urlsplit

from starlette.datastructures import Headers

_SAFE_METHODS = {"GET", "HEAD", "OPTIONS"}


def is_known_host(headers: Headers, hosts: Collection[str]) -> bool:
    """True if the Host header has one of these names, in lower case, on any port.

    A page whose own name has been pointed at this machine (DNS rebinding) is same-origin to the browser; only the host
    name distinguishes it.
    """
    try:
        name = urlsplit(f"//{headers.get('host', '')}").hostname
    except ValueError:
        return False
    return name in hosts


def is_cross_site(method: str, headers: Headers, trusted: Collection[str]) -> bool:
    """True if a page of another origin makes a browser send a request that changes something.

    A form can be posted anywhere without a preflight, with the credentials that the browser has stored. Browsers send
    the origin of a request: in Sec-Fetch-Site where the connection is safe or local, and otherwise in Origin. Other
    clients send neither.
    """
    origin = headers.get("origin")
    if method in _SAFE_METHODS or origin in trusted or "*" in trusted:
        return False
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site not in ("same-origin", "none")
    return origin is not None and origin.partition("://")[2].lower() != headers.get("host", "").lower()
