"""HTTP client, key and URL of an engine's model server."""

from urllib.parse import urlsplit

import httpx2
from pydantic import SecretStr

from shared.errors import StartupError

#: How long an idle connection is kept. The library's 5 s would close it between two turns of a conversation, and each
#: reply would then begin with a new TLS handshake. Model servers keep idle connections for minutes.
_KEEPALIVE_S = 120


def http_client() -> httpx2.AsyncClient:
    """Build the client for a vendor's library, which would otherwise choose one depending on the installed packages."""
    return httpx2.AsyncClient(
        # `timeouts.py` limits every engine alike.
        timeout=None,
        limits=httpx2.Limits(keepalive_expiry=_KEEPALIVE_S),
        # A redirect to another host would take Google's key header with it.
        follow_redirects=False,
    )


def read_key(secret: SecretStr, variable: str) -> str:
    """Return the key without surrounding whitespace; empty if unset.

    Raises:
        StartupError: it has characters that no HTTP header can carry, such as the typographic quotes of a copied
            document.
    """
    key = secret.get_secret_value().strip()
    if not (key.isascii() and key.isprintable()):
        raise StartupError(f"{variable} has characters that no key contains. Copy it again, without quotes.")
    return key


def read_url(url: str, variable: str) -> str:
    """Return the URL without surrounding whitespace; empty if unset.

    Raises:
        StartupError: it is not an HTTP URL with a host.
    """
    url = url.strip()
    if url and not url.lower().startswith(("http://", "https://")):
        raise StartupError(f"{variable} must begin with http:// or https://.")
    if url and not _has_host(url):
        raise StartupError(f"{variable} is not a valid URL. Set it to one such as http://localhost:11434/v1.")
    return url


def _has_host(url: str) -> bool:
    try:
        parts = urlsplit(url)
        # Each of the two parsers refuses URLs that the other accepts, and the vendors' libraries use both.
        return bool(parts.hostname and parts.port != 0 and httpx2.URL(url).host)
    except (ValueError, httpx2.InvalidURL):
        return False
