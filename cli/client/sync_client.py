"""A synchronous client of a running server, and the parts that it shares with the asynchronous one."""

from typing import Any, Self, TypeVar

import httpx

from cli.errors import RequestRefused, ServerUnreachable, UsageError
from cli.local_stack.running_stack import find_running_stack
from shared.settings import SharedSettings, read_settings

_DEFAULT_URL = "http://127.0.0.1:8000"

#: For connecting, and for the next bytes of a response.
TIMEOUT_S = 30

_HttpClient = TypeVar("_HttpClient", httpx.Client, httpx.AsyncClient)


class CascadeClient:
    """One server and the key for it. Every failure is a CommandError that says what to do.

    Use it as a context manager where more than one request is sent.
    """

    def __init__(self, url: str | None, key: str | None) -> None:
        self.url = resolve_url(url)
        self._http = make_http_client(httpx.Client, self.url, key)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def request(self, method: str, path: str, **options: Any) -> Any:
        """Send a request and return the JSON of the response.

        Raises:
            CommandError: the server cannot be reached, or refuses.
        """
        try:
            response = self._http.request(method, path, **options)
        except (httpx.TransportError, httpx.UnsupportedProtocol) as error:
            raise unreachable_error(self.url, error) from None
        return parse_response(response, self.url)


def resolve_url(url: str | None) -> str:
    """The server's address: `url`, else that of the stack that `cascade up` started here, else the default one."""
    stack = None if url else find_running_stack(read_settings(SharedSettings).data_dir)
    return (url or (stack.url if stack else _DEFAULT_URL)).rstrip("/")


def make_http_client(kind: type[_HttpClient], url: str, key: str | None) -> _HttpClient:
    """Make an httpx client of the server at `url`.

    Raises:
        UsageError: the URL or the key is malformed.
    """
    headers = {"Authorization": f"Bearer {key.strip()}"} if key else {}
    try:
        return kind(base_url=url, headers=headers, timeout=TIMEOUT_S)
    except (httpx.InvalidURL, UnicodeEncodeError):
        raise UsageError("The URL or the key is malformed. Give a URL like http://127.0.0.1:8000.") from None


def unreachable_error(url: str, error: Exception) -> ServerUnreachable:
    """The error for a server that could not be connected to."""
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        return ServerUnreachable(
            f"The certificate of {url} is not trusted. "
            "If you trust its authority, set SSL_CERT_FILE to the file of the authority's certificate."
        )
    return ServerUnreachable(
        f"No server responds at {url}. Start one with `cascade up`, or give another address with --url."
    )


def not_cascade_error(url: str) -> ServerUnreachable:
    """The error for a response that no Cascade server sends."""
    return ServerUnreachable(f"The server at {url} is not a Cascade server. Give another address with --url.")


def parse_response(response: httpx.Response, url: str) -> Any:
    """Return the JSON of a response.

    Raises:
        RequestRefused: the server refused the request.
        ServerUnreachable: the response is not from a Cascade server.
    """
    if response.has_redirect_location:  # not followed: the key and the recording would go to another server
        raise ServerUnreachable(
            f"{url} redirects to {response.headers['location']}. Give the right address with --url."
        )
    try:
        content = response.json()
    except ValueError:
        if response.is_server_error:
            raise ServerUnreachable(f"The proxy at {url} reaches no server ({response.status_code}).") from None
        raise not_cascade_error(url) from None
    if response.is_error:
        problem = content if isinstance(content, dict) else {}
        code = str(problem.get("code", f"http_{response.status_code}"))
        if response.status_code == 401:
            raise RequestRefused("The server requires an API key. Give one with --key or CASCADE_API_KEY.", code)
        raise RequestRefused(str(problem.get("detail", response.reason_phrase)), code)
    return content
