"""A proxy between the services and Redis that can cut connections, stall them, or lose replies."""

import asyncio
import random
from dataclasses import dataclass

_READ_BYTES = 1 << 16


@dataclass(eq=False)
class _Connection:
    client: asyncio.StreamWriter
    server: asyncio.StreamWriter
    loses_reply: bool = False
    """The connection is cut in the place of the next reply."""

    def abort(self) -> None:
        for writer in (self.client, self.server):
            writer.transport.abort()


class Proxy:
    """Forwards connections from `port` to `to_port`, both on 127.0.0.1."""

    def __init__(self, port: int, to_port: int) -> None:
        self.loss = 0.0
        """The share of requests that are forwarded, and whose connection is cut before the reply."""
        self.port = port
        self._to_port = to_port
        self._server: asyncio.Server | None = None
        self._connections: set[_Connection] = set()
        self._is_refusing = False
        self._is_forwarding = asyncio.Event()
        self._is_forwarding.set()

    async def listen(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)

    def refuse(self) -> None:
        """Cut every connection, and each new one as soon as it is accepted, until `accept` is called."""
        # The server stays open: if it closes while it accepts a client, that client's socket is never closed.
        self._is_refusing = True
        for connection in self._connections:
            connection.abort()

    def accept(self) -> None:
        self._is_refusing = False

    async def close(self) -> None:
        self.refuse()
        if self._server is not None:
            self._server.close()
        while self._connections:  # noqa: ASYNC110 - each connection's task removes it
            await asyncio.sleep(0.01)

    def pause(self) -> None:
        """Accept requests and replies, and forward nothing until `resume` is called."""
        self._is_forwarding.clear()

    def resume(self) -> None:
        self._is_forwarding.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            from_server, to_server = await asyncio.open_connection("127.0.0.1", self._to_port)
        except OSError:  # Redis is down
            writer.transport.abort()
            return
        connection = _Connection(writer, to_server)
        if self._is_refusing:
            connection.abort()
            return
        self._connections.add(connection)
        try:
            directions = [self._forward_requests(reader, connection), self._forward_replies(from_server, connection)]
            tasks = [asyncio.create_task(direction) for direction in directions]
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._connections.discard(connection)
            connection.abort()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _forward_requests(self, reader: asyncio.StreamReader, connection: _Connection) -> None:
        while data := await reader.read(_READ_BYTES):
            await self._is_forwarding.wait()
            connection.loses_reply = connection.loses_reply or random.random() < self.loss
            connection.server.write(data)
            await connection.server.drain()

    async def _forward_replies(self, reader: asyncio.StreamReader, connection: _Connection) -> None:
        while (data := await reader.read(_READ_BYTES)) and not connection.loses_reply:
            await self._is_forwarding.wait()
            connection.client.write(data)
            await connection.client.drain()
