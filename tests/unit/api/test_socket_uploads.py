"""Uploads by slow, broken and lying clients, over real sockets."""

import json
import time
from collections.abc import Callable
from contextlib import suppress
from http.client import IncompleteRead
from typing import Any

import pytest

from api.settings import ApiSettings
from support.wait import wait_until

Connect = Callable[[], Any]
Files = Callable[[], list[str]]

HEAD = b"POST /transcribe HTTP/1.1\r\nHost: api\r\nContent-Type: multipart/form-data; boundary=limit\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
SOUND = b"RIFF\x24\0\0\0WAVEfmt "


@pytest.fixture
def settings(settings: ApiSettings) -> ApiSettings:
    return settings.model_copy(update={"max_upload_mb": 1})


@pytest.fixture
def valid_request(build_form: Callable[..., bytes], wav: bytes) -> bytes:
    """A complete upload that is accepted."""
    return with_length(build_form(('name="audio_file"; filename="a.wav"', wav)))


def with_length(body: bytes, length: int | None = None) -> bytes:
    """The upload request with a Content-Length, which may differ from the body's."""
    return HEAD + b"Content-Length: %d\r\n\r\n" % (len(body) if length is None else length) + body


def large_form(build_form: Callable[..., bytes], size: int) -> bytes:
    """A form with a recording of that size."""
    return build_form(('name="audio_file"; filename="a.wav"', SOUND + bytes(size)))


def encode_chunks(body: bytes, size: int = 65_536) -> list[bytes]:
    """The body in chunks of HTTP's chunked encoding."""
    blocks = [body[start : start + size] for start in range(0, len(body), size)]
    return [b"%x\r\n%b\r\n" % (len(block), block) for block in blocks]


def wait_for_files(files: Files, count: int) -> None:
    """Wait until the volume holds `count` files; a busy disk may take long to remove one."""
    wait_until(lambda: len(files()) == count, 30, describe=files)


def assert_served(connect: Connect, valid_request: bytes) -> None:
    """Assert that another client's upload is accepted."""
    connection = connect()
    connection.send(valid_request)
    assert connection.read_response()[0].status == 202


def test_a_chunked_upload_is_accepted(connect: Connect, build_form: Callable[..., bytes], files: Files) -> None:
    """A client that does not know its upload's length, such as a microphone, may send chunks of any size."""
    connection = connect()
    connection.send(CHUNKED, *encode_chunks(large_form(build_form, 3000), size=7), b"0\r\n\r\n")
    assert connection.read_response()[0].status == 202
    assert len(files()) == 1


def test_a_slow_upload_is_accepted(connect: Connect, valid_request: bytes) -> None:
    """An upload that arrives in small portions is accepted."""
    connection = connect()
    for start in range(0, len(valid_request), 400):
        connection.send(valid_request[start : start + 400])
        time.sleep(0.01)
    assert connection.read_response()[0].status == 202


def test_other_clients_are_served_during_a_slow_upload(connect: Connect, valid_request: bytes) -> None:
    """An upload is accepted while another client's upload is still incomplete."""
    slow_upload = connect()
    slow_upload.send(valid_request[:-20])
    assert_served(connect, valid_request)
    slow_upload.send(valid_request[-20:])
    assert slow_upload.read_response()[0].status == 202


@pytest.mark.parametrize("cut", [200, 1500, 400_000], ids=["in the head", "in the sound", "after a block"])
def test_a_disconnected_upload_leaves_no_file(
    cut: int, connect: Connect, build_form: Callable[..., bytes], valid_request: bytes, files: Files
) -> None:
    """An upload whose client disconnects before its Content-Length is reached leaves no file, and the next one is
    accepted."""
    connection = connect()
    connection.send(with_length(large_form(build_form, 900_000))[:cut])
    time.sleep(0.1)
    connection.close()
    wait_for_files(files, 0)
    assert_served(connect, valid_request)


def test_a_disconnected_chunked_upload_leaves_no_file(
    connect: Connect, build_form: Callable[..., bytes], valid_request: bytes, files: Files
) -> None:
    """A chunked upload whose client disconnects leaves no file, and the next one is accepted."""
    connection = connect()
    connection.send(CHUNKED, *encode_chunks(large_form(build_form, 500_000))[:4])
    wait_for_files(files, 1)
    connection.close()
    wait_for_files(files, 0)
    assert_served(connect, valid_request)


@pytest.mark.parametrize("megabytes", [2, 26])
@pytest.mark.parametrize("declared", [True, False], ids=["with a length", "chunked"])
def test_the_refusal_of_a_large_upload_can_be_read(
    declared: bool,
    megabytes: int,
    connect: Connect,
    build_form: Callable[..., bytes],
    valid_request: bytes,
    files: Files,
) -> None:
    """A client that sends all of a large upload before it reads gets the 413 instead of a connection reset."""
    body = large_form(build_form, megabytes * 1_000_000)
    connection = connect()
    if declared:
        connection.send(with_length(body))
    else:
        connection.send(CHUNKED, *encode_chunks(body), b"0\r\n\r\n")
    response, problem = connection.read_response()
    assert response.status == 413
    assert b"1 MB" in problem
    wait_for_files(files, 0)
    assert_served(connect, valid_request)


def test_a_large_upload_is_refused_before_it_is_sent(connect: Connect, valid_request: bytes, files: Files) -> None:
    """A client that sends `Expect: 100-continue`, as curl does, gets the 413 before it has sent a byte of the body."""
    connection = connect()
    connection.send(HEAD + b"Content-Length: 26000000\r\nExpect: 100-continue\r\n\r\n")
    assert connection.read_response()[0].status == 413
    connection.close()
    assert files() == []
    assert_served(connect, valid_request)


def test_a_large_upload_is_refused_while_it_is_sent(connect: Connect, build_form: Callable[..., bytes]) -> None:
    """An upload that exceeds the limit is refused without waiting for its last chunk."""
    connection = connect()
    connection.send(CHUNKED, *encode_chunks(large_form(build_form, 2_000_000)))  # no last chunk
    assert connection.read_response()[0].status == 413


def test_the_refusal_of_a_field_can_be_read(connect: Connect, build_form: Callable[..., bytes], files: Files) -> None:
    """A client that sends all of its upload before it reads gets the 422 of a field at the beginning."""
    body = build_form(('name="colour"', b"blue"), ('name="audio_file"', SOUND + bytes(900_000)))
    connection = connect()
    connection.send(with_length(body))
    response, problem = connection.read_response()
    assert (response.status, b"unexpected_field" in problem) == (422, True)
    wait_for_files(files, 0)


@pytest.mark.parametrize("mistake", ["a field", "no form", "an unknown job", "a wrong method", "an unknown path"])
def test_a_connection_can_be_used_after_a_refusal(
    mistake: str, connect: Connect, build_form: Callable[..., bytes], valid_request: bytes
) -> None:
    """A connection serves further requests after a small mistake, several times."""
    invalid_request = {
        "a field": with_length(build_form(('name="colour"', b"blue"))),
        "no form": b"POST /transcribe HTTP/1.1\r\nHost: api\r\n\r\n",
        "an unknown job": b"GET /status/a HTTP/1.1\r\nHost: api\r\n\r\n",
        "a wrong method": b"GET /transcribe HTTP/1.1\r\nHost: api\r\n\r\n",
        "an unknown path": b"GET /nothing HTTP/1.1\r\nHost: api\r\n\r\n",
    }[mistake]
    connection = connect()
    for _ in range(3):
        connection.send(invalid_request)
        assert connection.read_response()[0].status in {404, 405, 415, 422}
        connection.send(valid_request)
        assert connection.read_response()[0].status == 202


@pytest.mark.parametrize("length", [b"%d", b"0" * 5_000 + b"%d"], ids=["plain", "leading zeros"])
def test_a_content_length_may_have_leading_zeros(
    length: bytes, connect: Connect, build_form: Callable[..., bytes], wav: bytes, files: Files
) -> None:
    """A Content-Length with thousands of leading zeros is accepted like the plain number."""
    body = build_form(('name="audio_file"', wav))
    connection = connect()
    connection.send(HEAD + b"Content-Length: " + length % len(body) + b"\r\n\r\n" + body)
    assert connection.read_response()[0].status == 202
    assert len(files()) == 1


def test_a_content_length_that_is_too_short_makes_an_incomplete_upload(
    connect: Connect, build_form: Callable[..., bytes], valid_request: bytes, files: Files
) -> None:
    """An upload longer than its Content-Length is cut there and refused as incomplete, and the next one is accepted."""
    body = build_form(('name="audio_file"', SOUND + bytes(2000)))
    connection = connect()
    connection.send(with_length(body, length=1000))
    assert connection.read_response()[0].status == 400
    connection.close()
    wait_for_files(files, 0)
    assert_served(connect, valid_request)


@pytest.mark.parametrize(
    "garbage",
    [
        b"\0\1\2\3\r\n\r\n",
        b"HELLO\r\n\r\n",
        b"GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n",
        b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03",
    ],
)
def test_bytes_that_are_not_http_get_400(garbage: bytes, connect: Connect, valid_request: bytes) -> None:
    """Garbage, or TLS on the plain port, gets 400 as a problem and a closed connection, and the next upload is
    accepted."""
    connection = connect()
    connection.send(garbage)
    response, problem = connection.read_response()
    assert (response.status, json.loads(problem)["code"]) == (400, "malformed_request")
    assert response.headers["content-type"] == "application/problem+json"
    assert connection.is_closed()
    assert_served(connect, valid_request)


def test_draining_a_refused_body_has_a_deadline(
    connect: Connect, build_form: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A refused client that keeps sending its body is cut off after a while."""
    monkeypatch.setattr("api.middleware.drain_body._DRAIN_S", 0.3)
    connection = connect()
    connection.send(CHUNKED, *encode_chunks(large_form(build_form, 2_000_000)))
    assert connection.read_response()[0].status == 413

    def keep_sending() -> None:
        for _ in range(100):
            connection.send(b"1\r\nx\r\n")
            time.sleep(0.05)

    with pytest.raises(OSError, match=r"reset|Broken pipe"):
        keep_sending()


def test_the_number_of_drained_bodies_is_limited(
    connect: Connect, build_form: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A refused client above the limit of drained bodies is cut off with its response, and the first one is still
    drained."""
    monkeypatch.setattr("api.middleware.drain_body._MAX_DRAINING", 1)
    first = connect()
    second = connect()
    first.send(CHUNKED, *encode_chunks(large_form(build_form, 2_000_000))[:20])
    assert first.read_response()[0].status == 413
    with suppress(ConnectionResetError, BrokenPipeError):  # the server may cut it off while it sends
        second.send(CHUNKED, *encode_chunks(large_form(build_form, 2_000_000))[:20])
    with suppress(ConnectionResetError, IncompleteRead):  # and its response may then be lost or incomplete
        assert second.read_response()[0].status == 413
    assert second.is_closed()
    first.send(b"1\r\nx\r\n")
    first.send(b"1\r\nx\r\n")
