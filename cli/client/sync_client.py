"""Talking to a running server."""

from typing import Any, Self, TypeVar

import httpx

from cli.errors import Refused, Unreachable, WrongUsage
from cli.local_stack.running_stack import find_running
from shared.settings import SharedSettings, read_settings

_DEFAULT_URL = "http://127.0.0.1:8000"

#: How long a connection may take, and the next bytes of an answer.
TIMEOUT_S = 30

_Http = TypeVar("_Http", httpx.Client, httpx.AsyncClient)


class CascadeClient:
    """One server, asked with its key. Whatever goes wrong is a CommandError that says what to do. Whoever asks for long
    uses it as a context manager."""

    def __init__(self, url: str | None, key: str | None) -> None:
        self.url = server_url(url)
        self._http = opened(httpx.Client, self.url, key)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def ask(self, method: str, path: str, **options: Any) -> Any:
        """The JSON that the server answers.

        Raises:
            CommandError: it cannot be reached, or refuses.
        """
        try:
            answer = self._http.request(method, path, **options)
        except (httpx.TransportError, httpx.UnsupportedProtocol) as error:
            raise unreachable(self.url, error) from None
        return told(answer, self.url)


def server_url(url: str | None) -> str:
    """The server that is meant."""
    running = None if url else find_running(read_settings(SharedSettings).data_dir)
    return (url or (running.url if running else _DEFAULT_URL)).rstrip("/")


def opened(kind: type[_Http], url: str, key: str | None) -> _Http:
    """A client of the server at `url`.

    Raises:
        WrongUsage: the URL or the key cannot be one.
    """
    headers = {"Authorization": f"Bearer {key.strip()}"} if key else {}
    try:
        return kind(base_url=url, headers=headers, timeout=TIMEOUT_S)
    except (httpx.InvalidURL, UnicodeEncodeError):
        raise WrongUsage("The URL or the key is malformed. Give a URL like http://127.0.0.1:8000.") from None


def unreachable(url: str, error: Exception) -> Unreachable:
    """What to say of a server that does not answer."""
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        return Unreachable(
            f"The certificate of {url} is not one that is trusted here. "
            "SSL_CERT_FILE may name the file of an authority that you trust."
        )
    return Unreachable(f"No server answers at {url}. Start one with `cascade up`, or name it: --url.")


def told(answer: httpx.Response, url: str) -> Any:
    """The JSON of an answer.

    Raises:
        Refused: the server says no.
        Unreachable: it is no answer of a server of ours.
    """
    if answer.has_redirect_location:  # followed, it would take the key and the recording to whoever it names
        raise Unreachable(f"{url} sends on to {answer.headers['location']}. Give the right address with --url.")
    try:
        content = answer.json()
    except ValueError:
        if answer.is_server_error:
            raise Unreachable(f"What answers at {url} has no server behind it now ({answer.status_code}).") from None
        raise Unreachable(f"What answers at {url} is no Cascade server.") from None
    if answer.is_error:
        problem = content if isinstance(content, dict) else {}
        code = str(problem.get("code", f"http_{answer.status_code}"))
        if answer.status_code == 401:
            raise Refused("The server wants an API key. Give one with --key or CASCADE_API_KEY.", code)
        raise Refused(str(problem.get("detail", answer.reason_phrase)), code)
    return content
