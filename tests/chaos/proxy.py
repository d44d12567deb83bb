"""A wire between the services and Redis that can be cut, held still, or made to lose replies."""

import asyncio
import random
from dataclasses import dataclass

_BYTES = 1 << 16


@dataclass(eq=False)
class _Connection:
    client: asyncio.StreamWriter
    server: asyncio.StreamWriter
    doomed: bool = False
    """The next reply will not arrive."""

    def abort(self) -> None:
        for writer in (self.client, self.server):
            writer.transport.abort()


class Proxy:
    """Forwards what comes to `port` to `to_port`, both on 127.0.0.1."""

    def __init__(self, port: int, to_port: int) -> None:
        self.loss = 0.0
        """The share of requests that are forwarded, and whose connection is cut before the reply."""
        self.port, self._to_port = port, to_port
        self._server: asyncio.Server | None = None
        self._connections: set[_Connection] = set()
        self._refusing = False
        self._flowing = asyncio.Event()
        self._flowing.set()

    async def listen(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)

    def refuse(self) -> None:
        """Cut every connection, and each new one as soon as it is there, until `accept`."""
        # The server stays: closed while a client is being let in, it loses that client's socket without closing it.
        self._refusing = True
        for connection in self._connections:
            connection.abort()

    def accept(self) -> None:
        self._refusing = False

    async def close(self) -> None:
        self.refuse()
        if self._server is not None:
            self._server.close()
        while self._connections:  # noqa: ASYNC110 - each goes in its own time
            await asyncio.sleep(0.01)

    def hold(self) -> None:
        """Take everything, and pass nothing on until `let_go`."""
        self._flowing.clear()

    def let_go(self) -> None:
        self._flowing.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            from_server, to_server = await asyncio.open_connection("127.0.0.1", self._to_port)
        except OSError:  # Redis is down
            writer.transport.abort()
            return
        connection = _Connection(writer, to_server)
        if self._refusing:
            connection.abort()
            return
        self._connections.add(connection)
        try:
            ways = [self._requests(reader, connection), self._replies(from_server, connection)]
            pumps = [asyncio.create_task(way) for way in ways]
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._connections.discard(connection)
            connection.abort()
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)

    async def _requests(self, reader: asyncio.StreamReader, connection: _Connection) -> None:
        while data := await reader.read(_BYTES):
            await self._flowing.wait()
            connection.doomed = connection.doomed or random.random() < self.loss
            connection.server.write(data)
            await connection.server.drain()

    async def _replies(self, reader: asyncio.StreamReader, connection: _Connection) -> None:
        while (data := await reader.read(_BYTES)) and not connection.doomed:
            await self._flowing.wait()
            connection.client.write(data)
            await connection.client.drain()
