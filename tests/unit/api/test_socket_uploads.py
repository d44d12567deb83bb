"""Callers who break off, lie, dawdle or send too much, over real sockets."""

import json
import time
from collections.abc import Callable
from contextlib import suppress
from http.client import IncompleteRead
from typing import Any

import pytest

from api.settings import ApiSettings

Connect = Callable[[], Any]
Files = Callable[[], list[str]]

HEAD = b"POST /transcribe HTTP/1.1\r\nHost: api\r\nContent-Type: multipart/form-data; boundary=limit\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
SOUND = b"RIFF\x24\0\0\0WAVEfmt "


@pytest.fixture
def settings(settings: ApiSettings) -> ApiSettings:
    return settings.model_copy(update={"max_upload_mb": 1})


@pytest.fixture
def good(form: Callable[..., bytes], wav: bytes) -> bytes:
    """A whole request that is accepted."""
    return sized(form(('name="audio_file"; filename="a.wav"', wav)))


def sized(body: bytes, length: int | None = None) -> bytes:
    return HEAD + b"Content-Length: %d\r\n\r\n" % (len(body) if length is None else length) + body


def large(form: Callable[..., bytes], size: int) -> bytes:
    return form(('name="audio_file"; filename="a.wav"', SOUND + bytes(size)))


def chunks(body: bytes, size: int = 65_536) -> list[bytes]:
    pieces = [body[start : start + size] for start in range(0, len(body), size)]
    return [b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces]


def settles(files: Files, count: int) -> bool:
    """Whether there come to be `count` files on the volume."""
    deadline = time.monotonic() + 30  # a busy disk may take long to forget a file
    while len(files()) != count and time.monotonic() < deadline:
        time.sleep(0.01)
    return len(files()) == count


def serves(connect: Connect, good: bytes) -> bool:
    connection = connect()
    connection.send(good)
    return bool(connection.answer()[0].status == 202)


def test_a_chunked_upload_is_accepted(connect: Connect, form: Callable[..., bytes], files: Files) -> None:
    """A client that does not know the length, such as a microphone, may send chunks of any size."""
    connection = connect()
    connection.send(CHUNKED, *chunks(large(form, 3000), size=7), b"0\r\n\r\n")
    assert connection.answer()[0].status == 202
    assert len(files()) == 1


def test_a_slow_upload_is_accepted(connect: Connect, good: bytes) -> None:
    """A thin line delivers in drips."""
    connection = connect()
    for start in range(0, len(good), 400):
        connection.send(good[start : start + 400])
        time.sleep(0.01)
    assert connection.answer()[0].status == 202


def test_other_callers_are_served_during_a_slow_upload(connect: Connect, good: bytes) -> None:
    """Who dawdles keeps nobody waiting."""
    slow = connect()
    slow.send(good[:-20])
    assert serves(connect, good)
    slow.send(good[-20:])
    assert slow.answer()[0].status == 202


@pytest.mark.parametrize("cut", [200, 1500, 400_000], ids=["in the head", "in the sound", "after a block"])
def test_a_caller_who_hangs_up_leaves_nothing(
    cut: int, connect: Connect, form: Callable[..., bytes], good: bytes, files: Files
) -> None:
    """A body that is cut off, here shorter than its Content-Length, leaves no file, and the next one is served."""
    connection = connect()
    connection.send(sized(large(form, 900_000))[:cut])
    time.sleep(0.1)
    connection.close()
    assert settles(files, 0)
    assert serves(connect, good)


def test_a_chunked_upload_that_is_cut_leaves_nothing(
    connect: Connect, form: Callable[..., bytes], good: bytes, files: Files
) -> None:
    """Nor does one whose length nobody knew."""
    connection = connect()
    connection.send(CHUNKED, *chunks(large(form, 500_000))[:4])
    assert settles(files, 1), "it is being received"
    connection.close()
    assert settles(files, 0)
    assert serves(connect, good)


@pytest.mark.parametrize("megabytes", [2, 26])
@pytest.mark.parametrize("declared", [True, False], ids=["with a length", "chunked"])
def test_the_refusal_of_a_large_upload_can_be_read(
    declared: bool, megabytes: int, connect: Connect, form: Callable[..., bytes], good: bytes, files: Files
) -> None:
    """A client that sends all before it listens hears the 413, in place of a connection that was reset."""
    body = large(form, megabytes * 1_000_000)
    connection = connect()
    if declared:
        connection.send(sized(body))
    else:
        connection.send(CHUNKED, *chunks(body), b"0\r\n\r\n")
    response, problem = connection.answer()
    assert response.status == 413
    assert b"1 MB" in problem
    assert settles(files, 0)
    assert serves(connect, good)


def test_a_large_upload_is_refused_before_it_is_sent(connect: Connect, good: bytes, files: Files) -> None:
    """A client that asks first (Expect: 100-continue, as curl does) hears the 413 without having sent a byte."""
    connection = connect()
    connection.send(HEAD + b"Content-Length: 26000000\r\nExpect: 100-continue\r\n\r\n")
    assert connection.answer()[0].status == 413
    connection.close()
    assert files() == []
    assert serves(connect, good)


def test_a_large_upload_is_refused_while_it_is_sent(connect: Connect, form: Callable[..., bytes]) -> None:
    """The refusal does not wait for a body that may never end."""
    connection = connect()
    connection.send(CHUNKED, *chunks(large(form, 2_000_000)))  # no last chunk
    assert connection.answer()[0].status == 413


def test_the_refusal_of_a_field_can_be_read(connect: Connect, form: Callable[..., bytes], files: Files) -> None:
    """What is refused at its first bytes is heard of by a client that goes on sending."""
    body = form(('name="colour"', b"blue"), ('name="audio_file"', SOUND + bytes(900_000)))
    connection = connect()
    connection.send(sized(body))
    response, problem = connection.answer()
    assert (response.status, b"unexpected_field" in problem) == (422, True)
    assert settles(files, 0)


@pytest.mark.parametrize("refused", ["a field", "no form", "an unknown job", "a wrong method", "nothing there"])
def test_a_connection_serves_on_after_a_refusal(
    refused: str, connect: Connect, form: Callable[..., bytes], good: bytes
) -> None:
    """A client that keeps its connection may use it again after a small mistake, and often."""
    wrong = {
        "a field": sized(form(('name="colour"', b"blue"))),
        "no form": b"POST /transcribe HTTP/1.1\r\nHost: api\r\n\r\n",
        "an unknown job": b"GET /status/a HTTP/1.1\r\nHost: api\r\n\r\n",
        "a wrong method": b"GET /transcribe HTTP/1.1\r\nHost: api\r\n\r\n",
        "nothing there": b"GET /nothing HTTP/1.1\r\nHost: api\r\n\r\n",
    }[refused]
    connection = connect()
    for _ in range(3):
        connection.send(wrong)
        assert connection.answer()[0].status in {404, 405, 415, 422}
        connection.send(good)
        assert connection.answer()[0].status == 202


@pytest.mark.parametrize("length", [b"%d", b"0" * 5_000 + b"%d"], ids=["as usual", "with zeros before it"])
def test_a_length_is_a_number_however_it_is_written(
    length: bytes, connect: Connect, form: Callable[..., bytes], wav: bytes, files: Files
) -> None:
    """Thousands of digits are as good as few."""
    body = form(('name="audio_file"', wav))
    connection = connect()
    connection.send(HEAD + b"Content-Length: " + length % len(body) + b"\r\n\r\n" + body)
    assert connection.answer()[0].status == 202
    assert len(files()) == 1


def test_a_length_that_is_too_short_harms_nobody(
    connect: Connect, form: Callable[..., bytes], good: bytes, files: Files
) -> None:
    """What follows the declared length is no part of the upload, which is incomplete."""
    body = form(('name="audio_file"', SOUND + bytes(2000)))
    connection = connect()
    connection.send(sized(body, length=1000))
    assert connection.answer()[0].status == 400
    connection.close()
    assert settles(files, 0)
    assert serves(connect, good)


@pytest.mark.parametrize(
    "garbage",
    [
        b"\0\1\2\3\r\n\r\n",
        b"HELLO\r\n\r\n",
        b"GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n",
        b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03",
    ],
)
def test_what_is_not_http_is_sent_away(garbage: bytes, connect: Connect, good: bytes) -> None:
    """Garbage, or TLS on the plain port, ends its own connection and no other, with a problem like any."""
    connection = connect()
    connection.send(garbage)
    answer, problem = connection.answer()
    assert (answer.status, json.loads(problem)["code"]) == (400, "malformed_request")
    assert answer.headers["content-type"] == "application/problem+json"
    assert connection.is_closed()
    assert serves(connect, good)


def test_a_caller_who_goes_on_after_a_refusal_is_cut_off(
    connect: Connect, form: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The patience with a body that nobody wants has an end."""
    monkeypatch.setattr("api.middleware.drain_body._LINGER_S", 0.3)
    connection = connect()
    connection.send(CHUNKED, *chunks(large(form, 2_000_000)))
    assert connection.answer()[0].status == 413

    def go_on() -> None:
        for _ in range(100):
            connection.send(b"1\r\nx\r\n")
            time.sleep(0.05)

    with pytest.raises(OSError, match=r"reset|Broken pipe"):
        go_on()


def test_patience_with_many_has_an_end(
    connect: Connect, form: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where too many who were refused go on sending, the next is cut off with its answer."""
    monkeypatch.setattr("api.middleware.drain_body._MOST", 1)
    first, second = connect(), connect()
    first.send(CHUNKED, *chunks(large(form, 2_000_000))[:20])
    assert first.answer()[0].status == 413
    with suppress(ConnectionResetError, BrokenPipeError):  # it may be cut off while it sends
        second.send(CHUNKED, *chunks(large(form, 2_000_000))[:20])
    with suppress(ConnectionResetError, IncompleteRead):  # and then its answer may be gone, or in part
        assert second.answer()[0].status == 413
    assert second.is_closed()
    first.send(b"1\r\nx\r\n")
    first.send(b"1\r\nx\r\n")
