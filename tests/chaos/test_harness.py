"""The instruments of the campaign do the harm that they are said to do."""

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
    """Replies with what it is asked, and remembers it."""

    def __init__(self) -> None:
        self.asked: list[bytes] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(100):
            self.asked.append(data)
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


async def ask(proxy: Proxy, question: bytes) -> bytes:
    """The reply; empty if the connection was cut before it came."""
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    try:
        writer.write(question)
        return await end_of(reader)
    finally:
        writer.transport.abort()


async def end_of(reader: asyncio.StreamReader) -> bytes:
    """What comes before the connection ends, in good order or by a reset."""
    try:
        return await reader.read(100)
    except ConnectionError:
        return b""


async def test_a_lost_reply_is_one_to_a_request_that_arrived(proxy, echo):
    """What Redis was told it has done; only the caller does not know."""
    assert await ask(proxy, b"one") == b"one"
    proxy.loss = 1.0
    assert await ask(proxy, b"two") == b""
    proxy.loss = 0.0
    assert await ask(proxy, b"three") == b"three"
    assert echo.asked == [b"one", b"two", b"three"]


async def test_a_cut_wire_refuses_until_it_is_mended(proxy, echo):
    """Connections that were there are gone as well."""
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    writer.write(b"one")
    assert await reader.read(100) == b"one"
    proxy.refuse()
    assert await end_of(reader) == b""
    writer.close()
    assert await ask(proxy, b"two") == b""
    proxy.accept()
    assert await ask(proxy, b"three") == b"three"
    assert echo.asked == [b"one", b"three"]


@pytest.mark.parametrize("steps", range(6))
async def test_a_client_who_is_being_let_in_when_the_wire_is_cut_is_cut_off(proxy, steps):
    """Whatever step of it is under way, and without a socket that nobody closes."""
    with socket.create_connection(("127.0.0.1", proxy.port)) as client:
        for _ in range(steps):
            await asyncio.sleep(0)
        proxy.refuse()
        client.settimeout(5)
        with suppress(ConnectionError):
            assert await asyncio.to_thread(client.recv, 1) == b""


async def test_a_held_wire_delays_and_loses_nothing(proxy, echo):
    """Neither way does anything pass meanwhile."""
    proxy.hold()
    asking = asyncio.create_task(ask(proxy, b"one"))
    await asyncio.sleep(0.1)
    assert (echo.asked, asking.done()) == ([], False)
    proxy.let_go()
    assert await asking == b"one"


def test_a_full_disk_takes_not_one_byte_more(tmp_path):
    """Until it is emptied."""
    disk = Disk(tmp_path / "disk", size_mb=1)
    disk.mount()
    if disk.why_not:
        pytest.skip(disk.why_not)
    try:
        disk.fill()
        with pytest.raises(OSError, match="No space") as full:
            (disk.path / "file").write_bytes(b"x")
        assert full.value.errno == errno.ENOSPC
        disk.empty()
        (disk.path / "file").write_bytes(b"x" * 500_000)
    finally:
        disk.unmount()
