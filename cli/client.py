"""Talking to a running server."""

from typing import Annotated, Any

import httpx
import typer

from cli.errors import CommandError
from cli.state import find_running
from shared.settings import SharedSettings, read_settings

_DEFAULT_URL = "http://127.0.0.1:8000"

Url = Annotated[
    str | None,
    typer.Option(envvar="CASCADE_URL", help="The server; without it the stack that `cascade up` has started here."),
]
Key = Annotated[str | None, typer.Option(envvar="CASCADE_API_KEY", help="An API key, where the server wants one.")]


class Client:
    """One server, asked with its key. Whatever goes wrong is a CommandError that says what to do."""

    def __init__(self, url: str | None, key: str | None) -> None:
        running = None if url else find_running(read_settings(SharedSettings).data_dir)
        self.url = (url or (running.url if running else _DEFAULT_URL)).rstrip("/")
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        try:
            self._http = httpx.Client(base_url=self.url, headers=headers, timeout=30)
        except (httpx.InvalidURL, UnicodeEncodeError):
            raise CommandError("The URL or the key is malformed. Give a URL like http://127.0.0.1:8000.") from None

    def ask(self, method: str, path: str, **options: Any) -> Any:
        """The JSON that the server answers.

        Raises:
            CommandError: it cannot be reached, or refuses.
        """
        try:
            answer = self._http.request(method, path, **options)
        except (httpx.TransportError, httpx.UnsupportedProtocol):
            raise CommandError(
                f"No server answers at {self.url}. Start one with `cascade up`, or name it: --url."
            ) from None
        try:
            told = answer.json()
        except ValueError:
            raise CommandError(f"What answers at {self.url} is no Cascade server.") from None
        if answer.status_code == 401:
            raise CommandError("The server wants an API key. Give one with --key or CASCADE_API_KEY.")
        if answer.is_error:
            raise CommandError(str(told.get("detail", answer.reason_phrase)))
        return told
