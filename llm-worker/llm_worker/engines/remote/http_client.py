"""How an engine reaches its model's server."""

from urllib.parse import urlsplit

import httpx2
from pydantic import SecretStr

from shared.errors import StartupError

# The library's 5 s would end the connection between two spoken turns, and each answer would then begin with a new
# TLS handshake. Model servers keep idle connections for minutes.
_KEEPALIVE_S = 120


def http_client() -> httpx2.AsyncClient:
    """A client to hand to a model's library, which may then not choose another one by what happens to be installed."""
    return httpx2.AsyncClient(
        # Time is kept by `deadline.py`, alike for every engine.
        timeout=None,
        limits=httpx2.Limits(keepalive_expiry=_KEEPALIVE_S),
        # A redirect to another host would take Google's key header with it.
        follow_redirects=False,
    )


def read_key(secret: SecretStr, variable: str) -> str:
    """The key without the blanks around it; empty when there is none.

    Raises:
        StartupError: it holds what no HTTP header can carry, such as the typographic quotes of a copied document.
    """
    key = secret.get_secret_value().strip()
    if not (key.isascii() and key.isprintable()):
        raise StartupError(f"{variable} holds characters that no key has. Copy it again, without quotes.")
    return key


def read_url(url: str, variable: str) -> str:
    """The address without the blanks around it; empty when there is none.

    Raises:
        StartupError: it is not an HTTP address.
    """
    url = url.strip()
    if url and not url.lower().startswith(("http://", "https://")):
        raise StartupError(f"{variable} must begin with http:// or https://.")
    if url and not _has_host(url):
        raise StartupError(f"{variable} is no address. Set it to one such as http://localhost:11434/v1.")
    return url


def _has_host(url: str) -> bool:
    try:
        parts = urlsplit(url)
        # Each of the two refuses something that the other takes, and the model's libraries use both.
        return bool(parts.hostname and parts.port != 0 and httpx2.URL(url).host)
    except (ValueError, httpx2.InvalidURL):
        return False
