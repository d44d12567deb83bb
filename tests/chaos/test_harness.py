"""The campaign's proxy and disk fail as they are set to."""

import asyncio
import errno
import socket
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest

from chaos.disk import Disk
from chaos.proxy import Proxy
from cli.local_stack.ports import free_port


class Echo:
    """A server that returns each request, and stores it."""

    def __init__(self) -> None:
        self.requests: list[bytes] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(100):
            self.requests.append(data)
            writer.write(data)
        writer.close()


@pytest.fixture
def echo() -> Echo:
    return Echo()


@pytest.fixture
async def proxy(echo: Echo) -> AsyncIterator[Proxy]:
    server = await asyncio.start_server(echo.serve, "127.0.0.1", 0)
    proxy = Proxy(free_port(), server.sockets[0].getsockname()[1])
    await proxy.listen()
    yield proxy
    await proxy.close()
    server.close()


async def exchange(proxy: Proxy, request: bytes) -> bytes:
    """Send a request through the proxy; return the reply, or nothing if the connection was cut."""
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    try:
        writer.write(request)
        return await read_reply(reader)
    finally:
        writer.transport.abort()


async def read_reply(reader: asyncio.StreamReader) -> bytes:
    """Return the next bytes, or nothing if the connection was closed or reset."""
    try:
        return await reader.read(100)
    except ConnectionError:
        return b""


async def test_lost_reply_belongs_to_a_request_that_arrived(proxy, echo):
    """A request whose reply is lost still reaches the server."""
    assert await exchange(proxy, b"one") == b"one"
    proxy.loss = 1.0
    assert await exchange(proxy, b"two") == b""
    proxy.loss = 0.0
    assert await exchange(proxy, b"three") == b"three"
    assert echo.requests == [b"one", b"two", b"three"]


async def test_refusing_proxy_cuts_old_and_new_connections_until_it_accepts(proxy, echo):
    """A proxy that refuses cuts open connections and new ones, and forwards again once it accepts."""
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    writer.write(b"one")
    assert await reader.read(100) == b"one"
    proxy.refuse()
    assert await read_reply(reader) == b""
    writer.close()
    assert await exchange(proxy, b"two") == b""
    proxy.accept()
    assert await exchange(proxy, b"three") == b"three"
    assert echo.requests == [b"one", b"three"]


@pytest.mark.parametrize("steps", range(6))
async def test_client_that_connects_while_the_proxy_starts_to_refuse_is_cut_off(proxy, steps):
    """A connection is cut at whatever step of its opening the proxy starts to refuse, and leaves no open socket."""
    with socket.create_connection(("127.0.0.1", proxy.port)) as client:
        for _ in range(steps):
            await asyncio.sleep(0)
        proxy.refuse()
        client.settimeout(5)
        with suppress(ConnectionError):
            assert await asyncio.to_thread(client.recv, 1) == b""


async def test_paused_proxy_delays_requests_and_loses_none(proxy, echo):
    """A paused proxy forwards neither requests nor replies, and a resumed one forwards those that it has received."""
    proxy.pause()
    request = asyncio.create_task(exchange(proxy, b"one"))
    await asyncio.sleep(0.1)
    assert (echo.requests, request.done()) == ([], False)
    proxy.resume()
    assert await request == b"one"


def test_full_disk_accepts_no_further_byte(tmp_path):
    """A write to a filled disk fails with ENOSPC, and works again once its space is freed."""
    disk = Disk(tmp_path / "disk", size_mb=1)
    disk.mount()
    if disk.unavailable_reason:
        pytest.skip(disk.unavailable_reason)
    try:
        disk.fill()
        with pytest.raises(OSError, match="No space") as caught:
            (disk.path / "file").write_bytes(b"x")
        assert caught.value.errno == errno.ENOSPC
        disk.free()
        (disk.path / "file").write_bytes(b"x" * 500_000)
    finally:
        disk.unmount()
