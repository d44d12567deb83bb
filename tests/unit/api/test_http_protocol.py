"""Connections that cost more than they should, over real sockets."""

import fcntl
import json
import resource
import socket
import sys
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

from api.middleware import http_protocol as connections

Connect = Callable[[], Any]

HEAD = b"GET /healthz HTTP/1.1\r\nHost: api\r\n"
UPLOAD = b"POST /transcribe HTTP/1.1\r\nHost: api\r\nContent-Type: multipart/form-data; boundary=limit\r\n"

#: How often `unread` asks.
UNREAD = 20


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "_HEAD_S", 0.4)


def trickle(connection: Any, byte: bytes, until_s: float) -> None:
    deadline = time.monotonic() + until_s
    while time.monotonic() < deadline:
        connection.send(byte)
        time.sleep(0.05)


def test_a_head_that_trickles_has_an_end(connect: Connect) -> None:
    """Each byte that comes wins no time; the caller hears why it is cut off."""
    connection = connect()
    connection.send(HEAD + b"X-Slow: ")
    with pytest.raises(OSError, match=r"reset|Broken pipe"):
        trickle(connection, b"x", 5)


def test_the_end_of_patience_is_told(connect: Connect) -> None:
    """Who was about to ask something reads 408, as a problem."""
    connection = connect()
    connection.send(HEAD)
    answer, problem = connection.answer()
    assert (answer.status, json.loads(problem)["code"]) == (408, "request_stalled")
    assert connection.is_closed()


def test_a_connection_that_asks_nothing_is_closed(connect: Connect) -> None:
    """Without a word, since a browser may have opened it for later."""
    assert connect().is_closed()


@pytest.mark.parametrize("rest", [b"\r\n", b"G"], ids=["empty lines", "half a head"])
def test_a_connection_that_was_served_is_bounded_too(connect: Connect, rest: bytes) -> None:
    """Neither empty lines between requests nor half a second request keep it open: uvicorn's own patience ends with the
    first byte."""
    connection = connect()
    connection.send(HEAD + b"\r\n")
    assert connection.answer()[0].status == 200
    connection.send(rest)
    assert connection.answer()[0].status == 408
    assert connection.is_closed()


def test_a_connection_that_is_used_lives_on(port: int) -> None:
    """Requests that follow each other, or come all at once, may together take longer, and be larger, than one head."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        for _ in range(8):
            connection.sendall((HEAD + b"X-Pad: " + b"x" * 2_000 + b"\r\n\r\n") * 3)
            time.sleep(0.1)
        assert connection.recv(100_000).count(b"HTTP/1.1 200 OK") == 24


def test_an_answer_may_take_longer_than_a_head(connect: Connect, form: Callable[..., bytes], wav: bytes) -> None:
    """Only the head has a short deadline: a body and a long poll do not."""
    body = form(('name="audio_file"', wav))
    connection = connect()
    connection.send(UPLOAD + b"Content-Length: %d\r\n\r\n" % len(body))
    for start in range(0, len(body), len(body) // 10):
        connection.send(body[start : start + len(body) // 10])
        time.sleep(0.08)
    answer, text = connection.answer()
    assert answer.status == 202
    job_id = text.decode().partition('"job_id":"')[2][:32]
    connection.send(f"GET /status/{job_id}?wait=0.8 HTTP/1.1\r\nHost: api\r\n\r\n".encode())
    assert connection.answer()[0].status == 200


def test_a_burst_of_requests_has_an_end(port: int) -> None:
    """Of a thousand that come before the first answer a few are served, each of them whole, and the last answer says
    that it is the last: what is not read costs no memory."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall((HEAD + b"\r\n") * 1_000)
        answers = everything(connection)
    assert answers.count(b"HTTP/1.1 200 OK") == answers.count(b'"status":"ok"') == connections._MOST_IN_LINE + 1
    assert answers.count(b"connection: close") == 1


def test_requests_in_line_hold_back_the_next(
    connect: Connect, port: int, form: Callable[..., bytes], wav: bytes
) -> None:
    """While some stand in line no more are read: whoever sends many, but not all at once, is served to the last."""
    body = form(('name="audio_file"', wav))
    uploading = connect()
    uploading.send(UPLOAD + b"Content-Length: %d\r\n\r\n" % len(body) + body)
    job_id = json.loads(uploading.answer()[1])["job_id"]
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(f"GET /status/{job_id}?wait=0.5 HTTP/1.1\r\nHost: api\r\n\r\n".encode())
        for _ in range(2):
            connection.sendall((HEAD + b"\r\n") * 30)
            time.sleep(0.1)
        assert everything(connection).count(b"HTTP/1.1 200 OK") == 61


@pytest.mark.parametrize(
    "endless",
    [
        b"X-Long: " + b"x" * 100_000,
        b"X-Many: y\r\n" * 10_000,
        b"X-Long: " + b"x" * 33_000 + b"\r\n\r\n",
        b"X-Many: y\r\n" * 3_100 + b"\r\n",
    ],
    ids=["one header", "many headers", "one header that ends", "many headers that end"],
)
def test_a_head_has_a_size(connect: Connect, endless: bytes) -> None:
    """What never ends is not collected, and what ends is no better: 431."""
    connection = connect()
    connection.send(HEAD + endless)
    assert connection.answer()[0].status == 431
    assert connection.is_closed()


@pytest.mark.parametrize(
    ("first", "more"),
    [(b"0\r\nX-T: y\r\n", b"X-T: y\r\n" * 1_000), (b"5;e", b"e" * 8_000)],
    ids=["trailers", "a chunk's extension"],
)
def test_what_is_no_body_has_a_size(connect: Connect, first: bytes, more: bytes) -> None:
    """What the parser collects or skips without giving it to anybody comes to an end as well."""
    connection = connect()
    connection.send(UPLOAD + b"Transfer-Encoding: chunked\r\n\r\n7\r\n--limit\r\n" + first)
    with pytest.raises(OSError, match=r"reset|Broken pipe"):
        flood(connection, more)


def flood(connection: Any, data: bytes) -> None:
    for _ in range(1_000):
        connection.send(data)
        time.sleep(0.002)


def test_past_the_limit_the_longest_wait_ends(
    connect: Connect, form: Callable[..., bytes], wav: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Idle connections make room for new ones, the oldest first; those that are being answered stay."""
    monkeypatch.setattr(connections, "_HEAD_S", 30.0)
    monkeypatch.setattr(connections, "_MOST_CONNECTIONS", 5)
    busy = connect()
    body = form(('name="audio_file"', wav))
    busy.send(UPLOAD + b"Content-Length: %d\r\n\r\n" % len(body) + body[:-9])
    time.sleep(0.1)
    idle = []
    for _ in range(5):
        idle.append(connect())
        time.sleep(0.02)
    assert idle[0].is_closed()
    idle[1].send(HEAD + b"\r\n")
    assert idle[1].answer()[0].status == 200
    busy.send(body[-9:])
    assert busy.answer()[0].status == 202


@pytest.fixture
def unread(port: int) -> Iterator[Callable[[], socket.socket]]:
    """Asks for more megabytes than the kernel holds, and reads nothing."""
    opened: list[socket.socket] = []

    def ask() -> socket.socket:
        reader = socket.socket()
        opened.append(reader)
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 10_000)
        reader.settimeout(5)
        reader.connect(("127.0.0.1", port))
        request = b"GET /docs/swagger-ui-bundle.js HTTP/1.1\r\nHost: api\r\n"
        reader.sendall((request + b"\r\n") * (UNREAD - 1) + request + b"Connection: close\r\n\r\n")
        wait_until_full(reader)
        return reader

    yield ask
    for reader in opened:
        reader.close()


def wait_until_full(reader: socket.socket) -> None:
    """Until nothing more has come for a while: from then on the server waits."""
    waiting, still = -1, 0
    while still < 5:
        time.sleep(0.1)
        now = int.from_bytes(fcntl.ioctl(reader, termios.FIONREAD, bytes(4)), sys.byteorder)
        waiting, still = now, still + 1 if now == waiting and now else 0


def test_who_takes_no_answer_makes_room(
    connect: Connect, unread: Callable[[], socket.socket], monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    """Connections whose answers are not taken do not keep newcomers out: the one that has waited longest goes."""
    monkeypatch.setattr(connections, "_HEAD_S", 30.0)
    monkeypatch.setattr(connections, "_MOST_CONNECTIONS", 3)
    readers = [unread() for _ in range(3)]
    newcomer = connect()
    newcomer.send(HEAD + b"\r\n")
    assert newcomer.answer()[0].status == 200
    newcomer.close()
    assert [len(everything(reader)) < UNREAD * 1_000_000 for reader in readers] == [True, False, False]
    assert "Traceback" not in caplog.text


def test_an_answer_that_nobody_takes_is_dropped(
    unread: Callable[[], socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever asks for much and reads nothing does not keep it open for ever."""
    monkeypatch.setattr(connections, "_UNREAD_S", 1)
    reader = unread()
    time.sleep(4)
    assert len(everything(reader)) < UNREAD * 1_000_000


def everything(reader: socket.socket) -> bytes:
    """What comes until the connection ends."""
    pieces = []
    with suppress(ConnectionResetError, TimeoutError):
        while data := reader.recv(1_000_000):
            pieces.append(data)
    return b"".join(pieces)


def test_listeners_keep_nobody_out(
    connect: Connect, form: Callable[..., bytes], wav: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those who follow a job, or wait to hear it, are counted apart; who comes besides finds room, and they stay."""
    monkeypatch.setattr(connections, "_MOST_CONNECTIONS", 3)
    body = form(('name="audio_file"', wav))
    uploading = connect()
    uploading.send(UPLOAD + b"Content-Length: %d\r\n\r\n" % len(body) + body)
    job_id = json.loads(uploading.answer()[1])["job_id"]
    uploading.close()
    listening = []
    for path in ["/events/", "/audio/"] * 4:
        listening.append(connect())
        listening[-1].send(f"GET {path}{job_id} HTTP/1.1\r\nHost: api\r\n\r\n".encode())
        time.sleep(0.05)
    for _ in range(5):
        newcomer = connect()
        newcomer.send(HEAD + b"\r\n")
        assert newcomer.answer()[0].status == 200
    newcomer.send(f"DELETE /jobs/{job_id} HTTP/1.1\r\nHost: api\r\n\r\n".encode())
    assert newcomer.answer()[0].status == 204
    for number, listener in enumerate(listening):
        answer, told = listener.answer()
        assert (answer.status, b"cancelled" in told) == ((410, False) if number % 2 else (200, True))


def test_the_process_may_open_what_it_needs() -> None:
    """A soft limit that is lower than the connections need is raised, as far as it may be."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (400, hard))
    try:
        assert (connections.most_connections(), connections.most_listeners()) == (50, 100)
        connections.allow_files()
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == min(8_000, hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
