"""An HTTP response that is read in a thread as it arrives, while the test does something else."""

import json
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import httpx

from api.jobs.audio_formats import WAV_HEADER_BYTES
from support.wait import wait_until

#: Includes the time that a worker takes to start where a test kills one.
_TIMEOUT_S = 60


class HttpStream:
    """A GET request whose response can be read while it arrives: an answer's audio, or a job's events."""

    def __init__(self, url: str, path: str, headers: dict[str, str] | None = None, **query: str | int) -> None:
        self.status = 0
        self.headers = httpx.Headers()
        self.body = b""
        self.is_cut_off = False
        """The connection was closed before the response was complete."""
        self._client = httpx.Client(base_url=url, timeout=_TIMEOUT_S)
        self._request = self._client.build_request("GET", path, headers=headers, params=query)
        self._thread = threading.Thread(target=self._receive, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _: TracebackType | None
    ) -> None:
        self._client.close()
        self._thread.join(5)

    def _receive(self) -> None:
        try:
            response = self._client.send(self._request, stream=True)
            self.status = response.status_code
            self.headers = response.headers
            for chunk in response.iter_raw():
                self.body += chunk
        except (httpx.HTTPError, RuntimeError):  # a client that is closed while it reads raises RuntimeError
            self.is_cut_off = True

    def read(self, size: int) -> bytes:
        """Wait until at least `size` bytes have arrived in all; return all that have."""
        self._wait_until(lambda: len(self.body) >= size)
        return self.body

    def read_to_end(self) -> bytes:
        """Wait for the end of the response."""
        self._thread.join(90)
        assert not self._thread.is_alive(), f"{self._request.url} does not end: {self.body[-500:]!r}"
        return self.body

    @property
    def wav_samples(self) -> bytes:
        """The bytes behind the header of a WAV file."""
        return self.body[WAV_HEADER_BYTES:]

    @property
    def events(self) -> list[dict[str, Any]]:
        """The complete server-sent events so far, each with `id`, `event` and `data`."""
        events = []
        for block in self.body.decode(errors="ignore").split("\n\n")[:-1]:
            fields = dict(line.split(": ", 1) for line in block.split("\n") if not line.startswith(":"))
            if fields:
                events.append(fields | {"data": json.loads(fields["data"])})
        return events

    def event_data(self, name: str) -> list[dict[str, Any]]:
        """The data of each event with this name."""
        return [event["data"] for event in self.events if event["event"] == name]

    def wait_for_event(self, name: str, count: int = 1) -> None:
        """Wait until `count` events with this name have arrived."""
        self._wait_until(lambda: len(self.event_data(name)) >= count)

    def _wait_until(self, condition: Callable[[], bool]) -> None:
        def holds() -> bool:
            # The thread is looked at first: what arrives just before it ends is in the body by then.
            is_receiving = self._thread.is_alive()
            if condition():
                return True
            assert is_receiving, f"{self._request.url} has ended: {self.body[-500:]!r}"
            return False

        wait_until(
            holds, _TIMEOUT_S, poll_s=0.01, describe=lambda: f"{self._request.url} stands still: {self.body[-500:]!r}"
        )
