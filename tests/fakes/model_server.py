"""A scripted model server on 127.0.0.1: it sends chunks, pauses, stalls or drops the connection.

It serves plain HTTP/1.1 with chunked bodies on its own thread, so that sync tests and other processes can use it too.
"""

import asyncio
import json
import threading
from collections import deque
from dataclasses import dataclass, field
from typing import Any, Self

from support.wait import wait_until


@dataclass
class Received:
    """A request that the server received."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]
    connection: int
    """The number of its connection; requests over one connection share it."""
    response_sent: threading.Event = field(default_factory=threading.Event)
    """Set once the last byte of the response was sent."""
    disconnected: threading.Event = field(default_factory=threading.Event)
    """Set when the client closed the connection before that."""


@dataclass(frozen=True)
class Pause:
    """Send nothing for a while."""

    seconds: float


@dataclass(frozen=True)
class Gate:
    """Send nothing until the test sets the event."""

    event: threading.Event


@dataclass(frozen=True)
class Hang:
    """Send nothing more, and keep the connection open."""


@dataclass(frozen=True)
class Cut:
    """Close the connection in the middle of a chunk."""


Step = bytes | Pause | Gate | Hang | Cut


@dataclass(frozen=True)
class Reply:
    """A response, step by step. A first step that is not bytes delays the headers as well."""

    steps: tuple[Step, ...] = ()
    status: int = 200
    headers: dict[str, str] = field(default_factory=lambda: {"content-type": "text/event-stream"})


def json_reply(status: int, body: object, headers: dict[str, str] | None = None) -> Reply:
    """A JSON document, as errors are."""
    return Reply((json.dumps(body).encode(),), status, {"content-type": "application/json", **(headers or {})})


def html_reply(status: int) -> Reply:
    """The error page of a proxy in front of the model."""
    page = b"<html><head><title>Error</title></head><body><h1>Bad Gateway</h1></body></html>"
    return Reply((page,), status, {"content-type": "text/html"})


def event(data: object) -> bytes:
    """One server-sent event."""
    return b"data: " + json.dumps(data).encode() + b"\r\n\r\n"


class ModelServer:
    """Listens while it is used as a context manager; `reply_with` queues its replies."""

    def __init__(self, key: str = "test-key") -> None:
        self.key = key
        self.received: list[Received] = []
        self.url = ""
        self._replies: deque[Reply] = deque()
        self._connections = 0
        self._started = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)

    def reply_with(self, *replies: Reply) -> None:
        """Queue one reply for each of the next valid requests; the last is repeated for all later ones."""
        self._replies = deque(replies)

    def check(self, received: Received) -> Reply | None:
        """The error for a request that the real server would reject; a subclass knows the format."""
        raise NotImplementedError

    def wait_for_request(self) -> list[Received]:
        """Wait for the first request; return all that were received."""
        return wait_until(lambda: self.received, 30)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._started.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop listening and close the connections."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(10)

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        tasks: set[asyncio.Task[None]] = set()

        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.create_task(self._connection(reader, writer))
            tasks.add(task)
            task.add_done_callback(tasks.discard)

        server = await asyncio.start_server(accept, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        self._started.set()
        await self._stop.wait()
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections += 1
        number = self._connections
        first_byte = b""
        try:
            while (received := await _read_request(first_byte, reader, number)) is not None:
                self.received.append(received)
                reply = self.check(received) or self._next_reply()
                sending = asyncio.create_task(_send(reply, writer))
                reading = asyncio.create_task(_read_byte(reader))
                try:
                    await asyncio.wait({sending, reading}, return_when=asyncio.FIRST_COMPLETED)
                    first_byte = await reading if reading.done() else b""
                    if not sending.done() and not first_byte:
                        received.disconnected.set()
                        return
                    if not await sending:
                        return
                    received.response_sent.set()
                finally:
                    sending.cancel()
                    reading.cancel()
                    await asyncio.gather(sending, reading, return_exceptions=True)
        except ConnectionError:
            pass
        finally:
            writer.close()

    def _next_reply(self) -> Reply:
        return self._replies.popleft() if len(self._replies) > 1 else self._replies[0]


async def _read_request(first_byte: bytes, reader: asyncio.StreamReader, connection: int) -> Received | None:
    """Read the rest of a request whose first byte may have been read; None if the client closes the connection."""
    try:
        head = first_byte + await reader.readuntil(b"\r\n\r\n")
        request_line, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
    except asyncio.IncompleteReadError:
        return None
    return Received(request_line.split()[1], headers, json.loads(body or b"{}"), connection)


async def _read_byte(reader: asyncio.StreamReader) -> bytes:
    """The first byte of the client's next request; empty once the client has closed the connection."""
    try:
        return await reader.read(1)
    except ConnectionError:
        return b""


async def _send(reply: Reply, writer: asyncio.StreamWriter) -> bool:
    """Send the reply; False if it ends with a closed connection."""
    head = f"HTTP/1.1 {reply.status} Status\r\ntransfer-encoding: chunked\r\n"
    head += "".join(f"{name}: {value}\r\n" for name, value in reply.headers.items())
    unsent = head.encode() + b"\r\n"
    for step in reply.steps:
        if isinstance(step, bytes):
            writer.write(unsent + b"%x\r\n%b\r\n" % (len(step), step))
            unsent = b""
            await writer.drain()
        elif isinstance(step, Pause):
            await asyncio.sleep(step.seconds)
        elif isinstance(step, Gate):
            while not step.event.is_set():  # noqa: ASYNC110 - set from the test's thread
                await asyncio.sleep(0.005)
        elif isinstance(step, Hang):
            await asyncio.Event().wait()
        else:
            writer.write(unsent + b'ff\r\ndata: {"half')
            await writer.drain()
            return False
    writer.write(unsent + b"0\r\n\r\n")
    await writer.drain()
    return True
