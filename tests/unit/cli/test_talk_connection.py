"""`cascade talk` while the server is absent, busy, or loses its connections."""

import ssl

import pytest
import trustme

import cli.client.async_client
import cli.client.job_events
from fakes.cascade_server import (
    ANSWER_EVENTS,
    JOB_ID,
    CascadeServer,
    Cut,
    Reply,
    event_stream,
    html_reply,
    json_reply,
    problem_reply,
)


def test_broken_event_stream_is_resumed(cascade, server):
    """After a broken connection the events continue after the last one received, and each text is printed once."""
    server.on(
        "GET",
        f"/events/{JOB_ID}",
        event_stream(*ANSWER_EVENTS[:6], Cut()),
        html_reply(502),
        event_stream(*ANSWER_EVENTS[6:]),
    )
    result = cascade("talk", "question.wav")
    assert (result.code, result.out) == (0, "how much is it\nIt is twelve.\n")
    last_ids = [request.headers.get("last-event-id") for request in server.requests("GET", f"/events/{JOB_ID}")]
    assert last_ids == [None, "6-0", "6-0"]
    assert result.err.count("The connection was lost") == result.err.count("Reconnected") == 1


def test_event_stream_that_ends_early_is_requested_again(cascade, server):
    """Events that end before the job's last one, as when the server shuts down, are requested again."""
    server.on("GET", f"/events/{JOB_ID}", event_stream(*ANSWER_EVENTS[:3]), event_stream(*ANSWER_EVENTS[3:]))
    assert cascade("talk", "question.wav").out == "how much is it\nIt is twelve.\n"


def test_retry_after_is_respected(cascade, server):
    """A 429 or 503 is retried after its delay, which is reported, with the same idempotency key."""
    full = problem_reply(503, "queue_full", "The queue is full.", retry_after="1")
    limited = problem_reply(429, "too_many_requests", "Too many requests.", retry_after="0")
    server.on("POST", "/transcribe", full, limited, json_reply(202, {"job_id": JOB_ID}))
    result = cascade("talk", "question.wav")
    assert result.code == 0
    assert "The queue is full. Waiting 1 s." in result.err
    keys = {request.headers["idempotency-key"] for request in server.requests("POST", "/transcribe")}
    assert (len(server.requests("POST", "/transcribe")), len(keys)) == (3, 1)


def test_interrupted_upload_is_repeated_with_the_same_key(cascade, server):
    """An upload that breaks off is repeated with the same idempotency key: the server may have accepted the first."""
    server.on("POST", "/transcribe", Reply((Cut(),)), json_reply(202, {"job_id": JOB_ID}))
    assert cascade("talk", "question.wav").code == 0
    first, second = server.requests("POST", "/transcribe")
    assert first.headers["idempotency-key"] == second.headers["idempotency-key"]
    assert b"RIFF question" in second.body


@pytest.mark.parametrize("rest", [Reply((b" whole",), 206, {}), Reply((b"RIFF whole",), 200, {})], ids=["rest", "all"])
def test_interrupted_download_is_resumed(cascade, server, folder, rest):
    """A download that breaks off is resumed by Range, and starts over if a proxy ignores the header."""
    server.on("GET", f"/audio/{JOB_ID}", Reply((b"RIFF", Cut())), html_reply(503), rest)
    assert cascade("talk", "question.wav").code == 0
    assert (folder / "question_response.wav").read_bytes() == b"RIFF whole"
    assert server.requests("GET", f"/audio/{JOB_ID}")[-1].headers["range"] == "bytes=4-"
    assert sorted(path.name for path in folder.iterdir()) == ["question.wav", "question_response.wav"]


def test_command_gives_up_when_the_server_does_not_come_back(cascade, server, monkeypatch):
    """When the server does not come back in time, the exit code is 3 and the job's status URL is printed."""
    monkeypatch.setattr(cli.client.job_events, "RECONNECT_TIMEOUT_S", 0.5)
    server.on("GET", f"/events/{JOB_ID}", event_stream(*ANSWER_EVENTS[:2], Cut()), html_reply(502))
    result = cascade("talk", "question.wav")
    assert result.code == 3
    assert f"{server.url}/status/{JOB_ID}" in result.err


def test_absent_server_exits_with_3(cascade):
    """If no server listens, the exit code is 3 at once, and the message says how to start one."""
    result = cascade("talk", "question.wav", "--url", "http://127.0.0.1:1")
    assert (result.code, "cascade up" in result.err) == (3, True)
    assert cascade("talk", "question.wav", "--url", "ftp://x").code == 3


def test_other_server_receives_neither_key_nor_recording(cascade, server):
    """A server that is not Cascade's is reported, and a redirect is not followed: it would send the key elsewhere."""
    server.on("POST", "/transcribe", html_reply(200))
    result = cascade("talk", "question.wav")
    assert (result.code, "is not a Cascade server" in result.err) == (3, True)
    with CascadeServer() as other:
        server.on("POST", "/transcribe", Reply(status=307, headers={"location": f"{other.url}/transcribe"}))
        result = cascade("talk", "question.wav", "--key", "secret")
        assert (result.code, f"redirects to {other.url}" in result.err) == (3, True)
        assert not other.received


def test_https_needs_a_trusted_certificate(cascade, folder, tmp_path, monkeypatch):
    """HTTPS works with a trusted certificate; an untrusted one is reported and exits with 3."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    with CascadeServer(context) as server:
        result = cascade("talk", "question.wav", "--url", server.url)
        assert (result.code, "certificate" in result.err) == (3, True)
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
        assert cascade("talk", "question.wav", "--url", server.url).code == 0
