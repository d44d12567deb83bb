"""Somebody who listens to a job over HTTP, in a thread, while the test does something else."""

import json
import threading
import time
from types import TracebackType
from typing import Any, Self

import httpx

WAV_HEAD = 44


class Hearing:
    """A GET request of which each byte is kept as it comes."""

    def __init__(self, url: str, path: str, headers: dict[str, str] | None = None, **query: str | int) -> None:
        self.status = 0
        self.headers = httpx.Headers()
        self.body = b""
        self.is_broken_off = False
        """The connection ended before the answer did."""
        self._client = httpx.Client(base_url=url, timeout=60)
        self._request = self._client.build_request("GET", path, headers=headers, params=query)
        self._thread = threading.Thread(target=self._listen, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _: TracebackType | None
    ) -> None:
        self._client.close()
        self._thread.join(5)

    def _listen(self) -> None:
        try:
            response = self._client.send(self._request, stream=True)
            self.status, self.headers = response.status_code, response.headers
            for piece in response.iter_raw():
                self.body += piece
        except (httpx.HTTPError, RuntimeError):  # which is also what a client is told that closes
            self.is_broken_off = True

    def until(self, size: int) -> bytes:
        """Until so many bytes have come."""
        self._wait(lambda: len(self.body) >= size)
        return self.body

    def to_the_end(self) -> bytes:
        self._thread.join(90)
        assert not self._thread.is_alive(), f"{self._request.url} does not end: {self.body[-500:]!r}"
        return self.body

    @property
    def samples(self) -> bytes:
        """Of a WAV."""
        return self.body[WAV_HEAD:]

    @property
    def events(self) -> list[dict[str, Any]]:
        """Of server-sent events, those that have come whole: `id`, `event` and `data`."""
        found = []
        for block in self.body.decode(errors="ignore").split("\n\n")[:-1]:
            fields = dict(line.split(": ", 1) for line in block.split("\n") if not line.startswith(":"))
            if fields:
                found.append(fields | {"data": json.loads(fields["data"])})
        return found

    def named(self, name: str) -> list[dict[str, Any]]:
        """The data of the events of that name."""
        return [event["data"] for event in self.events if event["event"] == name]

    def until_told(self, name: str, count: int = 1) -> None:
        self._wait(lambda: len(self.named(name)) >= count)

    def _wait(self, done: Any) -> None:
        deadline = time.monotonic() + 60
        while not done():
            assert time.monotonic() < deadline, f"{self._request.url} stands still: {self.body[-500:]!r}"
            assert self._thread.is_alive() or done(), f"{self._request.url} has ended: {self.body[-500:]!r}"
            time.sleep(0.01)
