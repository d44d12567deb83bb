"""A model server on 127.0.0.1 that does as it is told: answers in pieces, waits, stalls, breaks off.

It speaks plain HTTP/1.1 with chunked bodies on its own thread, so that sync tests and processes can use it too.
"""

import asyncio
import json
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any, Self


@dataclass
class Received:
    """One request, as it came."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]
    connection: int
    """Requests with the same number came over the same connection."""
    answered: threading.Event = field(default_factory=threading.Event)
    """Set once the last byte of the answer was sent."""
    dropped: threading.Event = field(default_factory=threading.Event)
    """Set when the client went away before that."""


@dataclass(frozen=True)
class Pause:
    """Send nothing for a while."""

    seconds: float


@dataclass(frozen=True)
class Gate:
    """Send nothing until the test sets this event."""

    opened: threading.Event


@dataclass(frozen=True)
class Hang:
    """Send nothing more, ever."""


@dataclass(frozen=True)
class Cut:
    """Break the connection off in the middle of a chunk."""


Step = bytes | Pause | Gate | Hang | Cut


@dataclass(frozen=True)
class Reply:
    """What to send back. A leading step that is not bytes holds the headers back as well."""

    steps: tuple[Step, ...] = ()
    status: int = 200
    headers: dict[str, str] = field(default_factory=lambda: {"content-type": "text/event-stream"})


def json_reply(status: int, body: object, headers: dict[str, str] | None = None) -> Reply:
    """A whole JSON document, as errors are."""
    return Reply((json.dumps(body).encode(),), status, {"content-type": "application/json", **(headers or {})})


def html_reply(status: int) -> Reply:
    """What a proxy in front of the model says."""
    page = b"<html><head><title>Error</title></head><body><h1>Bad Gateway</h1></body></html>"
    return Reply((page,), status, {"content-type": "text/html"})


def event(data: object) -> bytes:
    """One server-sent event."""
    return b"data: " + json.dumps(data).encode() + b"\r\n\r\n"


class ModelServer:
    """Use as a context manager; queue what it shall reply with `will`."""

    def __init__(self, key: str = "test-key") -> None:
        self.key = key
        self.received: list[Received] = []
        self.url = ""
        self._replies: deque[Reply] = deque()
        self._connections = 0
        self._started = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)

    def will(self, *replies: Reply) -> None:
        """Queue a reply for each of the next valid requests; the last is repeated for all that follow."""
        self._replies = deque(replies)

    def check(self, received: Received) -> Reply | None:
        """The refusal of a request that the real server would refuse; a subclass knows the format."""
        raise NotImplementedError

    def until_asked(self) -> list[Received]:
        """All that has been received, once there is something."""
        deadline = time.monotonic() + 30
        while not self.received and time.monotonic() < deadline:
            time.sleep(0.01)
        return self.received

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._started.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop listening and break off what is under way."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(10)

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
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
        number, begun = self._connections, b""
        try:
            while (received := await _read_request(begun, reader, number)) is not None:
                self.received.append(received)
                reply = self.check(received) or self._next_reply()
                playing = asyncio.create_task(_play(reply, writer))
                listening = asyncio.create_task(_listen(reader))
                try:
                    await asyncio.wait({playing, listening}, return_when=asyncio.FIRST_COMPLETED)
                    begun = await listening if listening.done() else b""
                    if not playing.done() and not begun:
                        received.dropped.set()
                        return
                    if not await playing:
                        return
                    received.answered.set()
                finally:
                    playing.cancel()
                    listening.cancel()
                    await asyncio.gather(playing, listening, return_exceptions=True)
        except ConnectionError:
            pass
        finally:
            writer.close()

    def _next_reply(self) -> Reply:
        return self._replies.popleft() if len(self._replies) > 1 else self._replies[0]


async def _read_request(begun: bytes, reader: asyncio.StreamReader, connection: int) -> Received | None:
    try:
        head = begun + await reader.readuntil(b"\r\n\r\n")
        request_line, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
    except asyncio.IncompleteReadError:
        return None
    return Received(request_line.split()[1], headers, json.loads(body or b"{}"), connection)


async def _listen(reader: asyncio.StreamReader) -> bytes:
    """Empty once the client has closed; a byte if it has sent its next request already."""
    try:
        return await reader.read(1)
    except ConnectionError:
        return b""


async def _play(reply: Reply, writer: asyncio.StreamWriter) -> bool:
    """Send the reply; False if it ends in a broken connection."""
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
            while not step.opened.is_set():  # noqa: ASYNC110 - set from the test's thread
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
