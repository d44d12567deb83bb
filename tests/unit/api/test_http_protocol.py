"""Limits of single connections, over real sockets."""

import fcntl
import json
import resource
import socket
import sys
import termios
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

from api.http_protocol import bounded_protocol, connection_limits
from support.wait import wait_until

Connect = Callable[[], Any]

HEAD = b"GET /healthz HTTP/1.1\r\nHost: api\r\n"
UPLOAD = b"POST /transcribe HTTP/1.1\r\nHost: api\r\nContent-Type: multipart/form-data; boundary=limit\r\n"

#: The number of requests by `connect_without_reading`. Each response is larger than a megabyte.
UNREAD_RESPONSES = 20


@pytest.fixture(autouse=True)
def short_head_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded_protocol, "_HEAD_S", 0.4)


def trickle(connection: Any, byte: bytes, duration_s: float) -> None:
    """Send one byte 20 times a second."""
    deadline = time.monotonic() + duration_s
    while time.monotonic() < deadline:
        connection.send(byte)
        time.sleep(0.05)


def test_a_trickling_head_is_cut_off(connect: Connect) -> None:
    """A client whose request head trickles is cut off after the head's deadline, which no byte extends."""
    connection = connect()
    connection.send(HEAD + b"X-Slow: ")
    with pytest.raises(OSError, match=r"reset|Broken pipe"):
        trickle(connection, b"x", 5)


def test_an_incomplete_head_gets_408(connect: Connect) -> None:
    """A client that sends half a request head gets 408 as a problem before the connection is closed."""
    connection = connect()
    connection.send(HEAD)
    response, problem = connection.read_response()
    assert (response.status, json.loads(problem)["code"]) == (408, "request_stalled")
    assert connection.is_closed()


def test_a_connection_without_a_request_is_closed_silently(connect: Connect) -> None:
    """A connection without a request is closed without a response, since a browser may have opened it for later."""
    assert connect().is_closed()


@pytest.mark.parametrize("rest", [b"\r\n", b"G"], ids=["empty lines", "half a head"])
def test_a_served_connection_has_a_deadline_for_its_next_head(connect: Connect, rest: bytes) -> None:
    """A served connection is closed although empty lines or half a request follow, which end uvicorn's own keep-alive
    timer."""
    connection = connect()
    connection.send(HEAD + b"\r\n")
    assert connection.read_response()[0].status == 200
    connection.send(rest)
    assert connection.read_response()[0].status == 408
    assert connection.is_closed()


def test_a_used_connection_stays_open(port: int) -> None:
    """A connection stays open while requests follow each other, although together they last longer and are larger than
    one head may."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        for _ in range(8):
            connection.sendall((HEAD + b"X-Pad: " + b"x" * 2_000 + b"\r\n\r\n") * 3)
            time.sleep(0.1)
        assert connection.recv(100_000).count(b"HTTP/1.1 200 OK") == 24


def test_a_body_and_a_long_poll_may_outlast_the_head_deadline(
    connect: Connect, build_form: Callable[..., bytes], wav: bytes
) -> None:
    """A slow body and a long poll are served although they take longer than a head may."""
    body = build_form(('name="audio_file"', wav))
    connection = connect()
    connection.send(UPLOAD + b"Content-Length: %d\r\n\r\n" % len(body))
    for start in range(0, len(body), len(body) // 10):
        connection.send(body[start : start + len(body) // 10])
        time.sleep(0.08)
    response, accepted = connection.read_response()
    assert response.status == 202
    job_id = accepted.decode().partition('"job_id":"')[2][:32]
    connection.send(f"GET /status/{job_id}?wait=0.8 HTTP/1.1\r\nHost: api\r\n\r\n".encode())
    assert connection.read_response()[0].status == 200


def test_a_burst_of_requests_is_limited(port: int) -> None:
    """A few of 1,000 pipelined requests are served completely, and the last response closes the connection, so that
    they cost little memory."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall((HEAD + b"\r\n") * 1_000)
        responses = read_all(connection)
    assert (
        responses.count(b"HTTP/1.1 200 OK") == responses.count(b'"status":"ok"') == bounded_protocol._MAX_PIPELINED + 1
    )
    assert responses.count(b"connection: close") == 1


def test_pipelined_requests_pause_reading(
    connect: Connect, port: int, build_form: Callable[..., bytes], wav: bytes
) -> None:
    """A client that pipelines many requests, but not all at once, is served to the last, since reading pauses while
    some wait."""
    body = build_form(('name="audio_file"', wav))
    upload_connection = connect()
    upload_connection.send(UPLOAD + b"Content-Length: %d\r\n\r\n" % len(body) + body)
    job_id = json.loads(upload_connection.read_response()[1])["job_id"]
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(f"GET /status/{job_id}?wait=0.5 HTTP/1.1\r\nHost: api\r\n\r\n".encode())
        for _ in range(2):
            connection.sendall((HEAD + b"\r\n") * 30)
            time.sleep(0.1)
        assert read_all(connection).count(b"HTTP/1.1 200 OK") == 61


@pytest.mark.parametrize(
    "headers",
    [
        b"X-Long: " + b"x" * 100_000,
        b"X-Many: y\r\n" * 10_000,
        b"X-Long: " + b"x" * 33_000 + b"\r\n\r\n",
        b"X-Many: y\r\n" * 3_100 + b"\r\n",
    ],
    ids=["one header", "many headers", "one header that ends", "many headers that end"],
)
def test_a_large_head_gets_431(connect: Connect, headers: bytes) -> None:
    """A request head above the size limit gets 431, whether it ends or not."""
    connection = connect()
    connection.send(HEAD + headers)
    assert connection.read_response()[0].status == 431
    assert connection.is_closed()


@pytest.mark.parametrize(
    ("first", "more"),
    [(b"0\r\nX-T: y\r\n", b"X-T: y\r\n" * 1_000), (b"5;e", b"e" * 8_000)],
    ids=["trailers", "a chunk's extension"],
)
def test_chunk_extensions_and_trailers_are_limited(connect: Connect, first: bytes, more: bytes) -> None:
    """Endless trailers or chunk extensions, which the parser collects or skips, end in a closed connection."""
    connection = connect()
    connection.send(UPLOAD + b"Transfer-Encoding: chunked\r\n\r\n7\r\n--limit\r\n" + first)
    with pytest.raises(OSError, match=r"reset|Broken pipe"):
        flood(connection, more)


def flood(connection: Any, data: bytes) -> None:
    """Send the data 1,000 times in two seconds."""
    for _ in range(1_000):
        connection.send(data)
        time.sleep(0.002)


def test_the_oldest_idle_connection_makes_room(
    connect: Connect, build_form: Callable[..., bytes], wav: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A new connection above the limit closes the oldest idle one, and leaves those that are being served."""
    monkeypatch.setattr(bounded_protocol, "_HEAD_S", 30.0)
    monkeypatch.setattr(connection_limits, "_MAX_CONNECTIONS", 5)
    busy_connection = connect()
    body = build_form(('name="audio_file"', wav))
    busy_connection.send(UPLOAD + b"Content-Length: %d\r\n\r\n" % len(body) + body[:-9])
    time.sleep(0.1)
    idle_connections = []
    for _ in range(5):
        idle_connections.append(connect())
        time.sleep(0.02)
    assert idle_connections[0].is_closed()
    idle_connections[1].send(HEAD + b"\r\n")
    assert idle_connections[1].read_response()[0].status == 200
    busy_connection.send(body[-9:])
    assert busy_connection.read_response()[0].status == 202


@pytest.fixture
def connect_without_reading(port: int) -> Iterator[Callable[[], socket.socket]]:
    """Request more data than the kernel buffers, and read nothing."""
    sockets: list[socket.socket] = []

    def send_requests() -> socket.socket:
        reader = socket.socket()
        sockets.append(reader)
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 10_000)
        reader.settimeout(5)
        reader.connect(("127.0.0.1", port))
        request = b"GET /docs/swagger-ui-bundle.js HTTP/1.1\r\nHost: api\r\n"
        reader.sendall((request + b"\r\n") * (UNREAD_RESPONSES - 1) + request + b"Connection: close\r\n\r\n")
        wait_until_full(reader)
        return reader

    yield send_requests
    for reader in sockets:
        reader.close()


def wait_until_full(reader: socket.socket) -> None:
    """Wait until no byte has arrived for half a second: from then on the server waits for the reader."""
    sizes: deque[int] = deque(maxlen=6)

    def is_stable() -> bool:
        sizes.append(int.from_bytes(fcntl.ioctl(reader, termios.FIONREAD, bytes(4)), sys.byteorder))
        return sizes.count(sizes[0]) == sizes.maxlen and sizes[0] > 0

    wait_until(is_stable, poll_s=0.1)


def test_a_connection_that_does_not_read_makes_room(
    connect: Connect, connect_without_reading: Callable[[], socket.socket], monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    """A new connection above the limit closes the one that has left its responses unread for longest."""
    monkeypatch.setattr(bounded_protocol, "_HEAD_S", 30.0)
    monkeypatch.setattr(connection_limits, "_MAX_CONNECTIONS", 3)
    readers = [connect_without_reading() for _ in range(3)]
    newcomer = connect()
    newcomer.send(HEAD + b"\r\n")
    assert newcomer.read_response()[0].status == 200
    newcomer.close()
    assert [len(read_all(reader)) < UNREAD_RESPONSES * 1_000_000 for reader in readers] == [True, False, False]
    assert "Traceback" not in caplog.text


def test_an_unread_response_is_dropped(
    connect_without_reading: Callable[[], socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection whose responses stay unread is closed after a while."""
    monkeypatch.setattr(bounded_protocol, "_UNREAD_S", 1)
    reader = connect_without_reading()
    time.sleep(4)
    assert len(read_all(reader)) < UNREAD_RESPONSES * 1_000_000


def read_all(reader: socket.socket) -> bytes:
    """Read until the connection ends."""
    received = bytearray()
    with suppress(ConnectionResetError, TimeoutError):
        while data := reader.recv(1_000_000):
            received += data
    return bytes(received)


def test_listeners_do_not_count_as_connections(
    connect: Connect, build_form: Callable[..., bytes], wav: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Listeners and subscribers have a limit of their own, so that other clients find room and the listeners stay
    connected."""
    monkeypatch.setattr(connection_limits, "_MAX_CONNECTIONS", 3)
    body = build_form(('name="audio_file"', wav))
    upload_connection = connect()
    upload_connection.send(UPLOAD + b"Content-Length: %d\r\n\r\n" % len(body) + body)
    job_id = json.loads(upload_connection.read_response()[1])["job_id"]
    upload_connection.close()
    listeners = []
    for path in ["/events/", "/audio/"] * 4:
        listeners.append(connect())
        listeners[-1].send(f"GET {path}{job_id} HTTP/1.1\r\nHost: api\r\n\r\n".encode())
        time.sleep(0.05)
    for _ in range(5):
        newcomer = connect()
        newcomer.send(HEAD + b"\r\n")
        assert newcomer.read_response()[0].status == 200
    newcomer.send(f"DELETE /jobs/{job_id} HTTP/1.1\r\nHost: api\r\n\r\n".encode())
    assert newcomer.read_response()[0].status == 204
    for number, listener in enumerate(listeners):
        response, body = listener.read_response()
        assert (response.status, b"cancelled" in body) == ((410, False) if number % 2 else (200, True))


def test_the_limit_of_open_files_is_raised() -> None:
    """A soft limit of open files below what the connections need is raised as far as the hard limit allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (400, hard))
    try:
        assert (connection_limits.max_connections(), connection_limits.max_listeners()) == (50, 100)
        connection_limits.raise_file_limit()
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == min(8_000, hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
