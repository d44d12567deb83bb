"""`cascade talk` with one recording: what goes to the server, what is shown, what is written."""

import io
import json
import os
import ssl
import sys
from pathlib import Path

import pytest
import trustme

import cli.client.async_client
import cli.client.job_events
from fakes.cascade_server import (
    ANSWER,
    DONE,
    JOB,
    CascadeServer,
    Cut,
    Reply,
    event,
    events,
    html_reply,
    json_reply,
    problem,
)

FAILED = DONE | {"status": "failed", "error": {"code": "no_speech", "message": "Nobody speaks in the recording."}}


def test_texts_go_to_standard_output_and_how_it_goes_to_standard_error(cascade, server, folder):
    """`cascade talk question.wav > answer.txt` leaves what was heard and answered, and the answer's sound beside."""
    done = cascade("talk", "question.wav")
    assert (done.code, done.out) == (0, "how much is it\nIt is twelve.\n")
    assert done.err.splitlines() == [
        "waiting",
        "recognizing speech",
        "answering",
        "speaking",
        "spoken    question_response.wav (1.5 s, the first of it after 0.25 s)",
    ]
    assert (folder / "question_response.wav").read_bytes() == b"RIFF whole"
    [sent] = server.requests("POST", "/transcribe")
    assert b"RIFF question" in sent.body
    assert b"question.wav" not in sent.body
    assert sent.query == {}


def test_what_is_chosen_is_sent(cascade, server):
    """Each option is a field of the form, and the key goes along with every request."""
    about = ["--language", "en", "--voice", "amy", "--conversation", "k1", "--system-prompt", "Briefly."]
    assert cascade("talk", "question.wav", *about, "--route", "stt,llm", "--key", "secret").code == 0
    [sent] = server.requests("POST", "/transcribe")
    for name, value in {"language": "en", "voice": "amy", "conversation_id": "k1", "system_prompt": "Briefly."}.items():
        assert f'name="{name}"\r\n\r\n{value}\r\n'.encode() in sent.body
    assert sent.query == {"route": ["stt,llm"]}
    assert {each.headers.get("authorization") for each in server.received} == {"Bearer secret"}
    assert not server.requests("GET", f"/audio/{JOB}"), "nothing is spoken"


def test_standard_input_can_be_the_recording(cascade, server, folder, monkeypatch):
    """`-` reads it, and the answer lies in this folder."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"RIFF piped")))
    assert cascade("talk", "-").code == 0
    assert b"RIFF piped" in server.requests("POST", "/transcribe")[0].body
    assert (folder / "response.wav").exists()


@pytest.mark.parametrize(
    ("output", "written"),
    [("a.wav", "a.wav"), ("sub", "sub/question_response.wav"), ("sub/", "sub/question_response.wav")],
)
def test_the_sound_is_written_where_it_is_wanted(cascade, folder, output, written):
    """-o names a file or a folder."""
    (folder / "sub").mkdir()
    assert cascade("talk", "question.wav", "-o", output).code == 0
    assert (folder / written).read_bytes() == b"RIFF whole"
    assert not (folder / "question_response.wav").exists()


def test_a_device_stays_a_device(cascade, folder):
    """A file takes its name when it is whole; /dev/null must not be replaced by one."""
    before = Path("/dev/null").stat()
    assert cascade("talk", "question.wav", "-o", "/dev/null").code == 0
    assert Path("/dev/null").stat().st_ino == before.st_ino
    (folder / "link.wav").symlink_to("/dev/null")
    assert cascade("talk", "question.wav", "-o", "link.wav").code == 0
    assert Path("/dev/null").stat().st_ino == before.st_ino


def test_json_is_one_object_with_the_final_status(cascade):
    """For scripts: all that is known, and nothing else on standard output."""
    done = cascade("talk", "question.wav", "--json")
    assert json.loads(done.out) == DONE | {"file": "question.wav", "saved_to": "question_response.wav"}
    assert (done.code, done.err) == (0, "")


def test_a_connection_that_breaks_goes_on_where_it_was(cascade, server):
    """Nothing is lost and nothing is told twice."""
    server.on("GET", f"/events/{JOB}", events(*ANSWER[:6], Cut()), html_reply(502), events(*ANSWER[6:]))
    done = cascade("talk", "question.wav")
    assert (done.code, done.out) == (0, "how much is it\nIt is twelve.\n")
    asked = [each.headers.get("last-event-id") for each in server.requests("GET", f"/events/{JOB}")]
    assert asked == [None, "6-0", "6-0"]
    assert done.err.count("The connection broke") == done.err.count("The connection is back") == 1


def test_events_that_end_without_the_last_one_are_asked_for_again(cascade, server):
    """As when the server is being stopped in order."""
    server.on("GET", f"/events/{JOB}", events(*ANSWER[:3]), events(*ANSWER[3:]))
    assert cascade("talk", "question.wav").out == "how much is it\nIt is twelve.\n"


def test_an_answer_that_begins_anew_is_told(cascade, server):
    """What is kept on standard output is the answer that counts, alone."""
    restarted = event(8, "restarted", first=2), event(9, "text", text="It is thirteen.")
    server.on("GET", f"/events/{JOB}", events(*ANSWER[:7], *restarted, event(10, "completed")))
    done = cascade("talk", "question.wav")
    assert done.out == "how much is it\nIt is thirteen.\n"
    assert "the answer begins anew" in done.err


def test_a_job_that_failed_is_a_failure_of_its_own(cascade, server, folder):
    """Its reason is told, in words or as JSON, and the exit code is 1."""
    server.on("GET", f"/events/{JOB}", events(*ANSWER[:2], event(3, "failed", stage="stt", code="no_speech")))
    server.on("GET", f"/status/{JOB}", json_reply(200, FAILED))
    done = cascade("talk", "question.wav")
    assert (done.code, done.out) == (1, "")
    assert done.err.endswith("cascade: Nobody speaks in the recording. (no_speech)\n")
    done = cascade("talk", "question.wav", "--json")
    assert (done.code, json.loads(done.out)["error"]["code"]) == (1, "no_speech")
    assert not (folder / "question_response.wav").exists()


def test_what_is_retried_is_told(cascade, server):
    """Why it takes longer."""
    retrying = event(6, "retrying", stage="llm", code="model_unavailable", delay_ms=1500)
    server.on("GET", f"/events/{JOB}", events(*ANSWER[:5], retrying, *ANSWER[6:]))
    assert (
        "answering did not succeed (model_unavailable): it is tried again in 1.5 s"
        in cascade("talk", "question.wav").err
    )


def test_a_job_that_somebody_erased_is_told(cascade, server):
    """It is not waited for."""
    server.on("GET", f"/events/{JOB}", events(*ANSWER[:2], Cut()), problem(404, "job_not_found", "No such job."))
    done = cascade("talk", "question.wav")
    assert (done.code, "somebody has erased it" in done.err) == (1, True)


@pytest.mark.parametrize(
    ("reply", "told"),
    [
        (problem(401, "unauthorized", "Send a key."), "Give one with --key or CASCADE_API_KEY"),
        (problem(403, "forbidden", "Not from here."), "Not from here."),
        (problem(413, "file_too_large", "At most 25 MB."), "At most 25 MB."),
        (problem(503, "queue_full", "Full.", retry_after="99999"), "Full."),
        (json_reply(418, ["not", "ours"]), "Teapot"),
    ],
)
def test_a_refusal_has_its_own_code(cascade, server, reply, told):
    """The server's words are passed on, and the exit code is 4."""
    server.on("POST", "/transcribe", reply)
    done = cascade("talk", "question.wav")
    assert (done.code, done.out) == (4, "")
    assert told in done.err
    assert "error" in json.loads(cascade("talk", "question.wav", "--json").out)


def test_a_server_that_is_full_is_waited_for(cascade, server):
    """As long as it says, and it is told; the repeated upload cannot become a second job."""
    full = problem(503, "queue_full", "The queue is full.", retry_after="1")
    limited = problem(429, "too_many_requests", "Too many requests.", retry_after="0")
    server.on("POST", "/transcribe", full, limited, json_reply(202, {"job_id": JOB}))
    done = cascade("talk", "question.wav")
    assert done.code == 0
    assert "The queue is full. Waiting 1 s." in done.err
    keys = {each.headers["idempotency-key"] for each in server.requests("POST", "/transcribe")}
    assert (len(server.requests("POST", "/transcribe")), len(keys)) == (3, 1)


def test_an_upload_that_is_cut_off_is_sent_again_as_the_same(cascade, server):
    """The server knows it by its key, should it have been accepted already."""
    server.on("POST", "/transcribe", Reply((Cut(),)), json_reply(202, {"job_id": JOB}))
    assert cascade("talk", "question.wav").code == 0
    first, second = server.requests("POST", "/transcribe")
    assert first.headers["idempotency-key"] == second.headers["idempotency-key"]
    assert b"RIFF question" in second.body


@pytest.mark.parametrize("rest", [Reply((b" whole",), 206, {}), Reply((b"RIFF whole",), 200, {})], ids=["rest", "all"])
def test_a_download_that_is_cut_off_goes_on(cascade, server, folder, rest):
    """Also where something on the way has dropped the wish for the rest alone."""
    server.on("GET", f"/audio/{JOB}", Reply((b"RIFF", Cut())), html_reply(503), rest)
    assert cascade("talk", "question.wav").code == 0
    assert (folder / "question_response.wav").read_bytes() == b"RIFF whole"
    assert server.requests("GET", f"/audio/{JOB}")[-1].headers["range"] == "bytes=4-"
    assert sorted(path.name for path in folder.iterdir()) == ["question.wav", "question_response.wav"]


def test_a_server_that_is_gone_for_good_is_given_up(cascade, server, monkeypatch):
    """And where the job can be found when it is back is told."""
    monkeypatch.setattr(cli.client.job_events, "LOST_FOR_S", 0.5)
    server.on("GET", f"/events/{JOB}", events(*ANSWER[:2], Cut()), html_reply(502))
    done = cascade("talk", "question.wav")
    assert done.code == 3
    assert f"{server.url}/status/{JOB}" in done.err


def test_a_server_that_is_not_there_has_its_own_code(cascade):
    """The exit code is 3, at once, and what to do is told."""
    done = cascade("talk", "question.wav", "--url", "http://127.0.0.1:1")
    assert (done.code, "cascade up" in done.err) == (3, True)
    assert cascade("talk", "question.wav", "--url", "ftp://x").code == 3


def test_what_answers_may_be_somebody_else(cascade, server):
    """A web server, or one that sends on to another: the key and the recording are for neither."""
    server.on("POST", "/transcribe", html_reply(200))
    done = cascade("talk", "question.wav")
    assert (done.code, "is no Cascade server" in done.err) == (3, True)
    with CascadeServer() as other:
        server.on("POST", "/transcribe", Reply(status=307, headers={"location": f"{other.url}/transcribe"}))
        done = cascade("talk", "question.wav", "--key", "secret")
        assert (done.code, f"sends on to {other.url}" in done.err) == (3, True)
        assert not other.received


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["absent.wav"], "There is no file absent.wav"),
        (["."], "is a folder"),
        (["question.wav", "-o", "absent/a.wav"], "There is no folder absent"),
        (["question.wav", "-o", "-"], "Standard output is for text"),
        (["question.wav", "--route", "stt", "--play"], "nothing to hear"),
        (["question.wav", "--route", "tts"], "--route"),
        (["question.wav", "-"], "alone"),
        (["question.wav", "other.wav", "--play"], "one recording"),
        (["question.wav", "other.wav", "--conversation", "k"], "one recording"),
        (["question.wav", "--url", "http://[", "--key", "ä"], "malformed"),
        ([], "Missing argument"),
    ],
)
def test_wrong_usage_is_told_before_anything_is_sent(cascade, server, words, told):
    """The exit code is 2."""
    done = cascade("talk", *words)
    assert (done.code, told in done.err) == (2, True), done.err
    assert not server.received


def test_what_a_server_sends_is_shown_and_not_obeyed(cascade, server):
    """Control characters have no power over the terminal, wherever they come from."""
    evil = "\x1b]0;owned\x07[bold]x[/]"
    server.on("GET", f"/events/{JOB}", events(*ANSWER[:5], event(6, "text", text=evil), *ANSWER[7:]))
    assert cascade("talk", "question.wav").out.endswith("\n\\x1b]0;owned\\x07[bold]x[/]\n")
    server.on("GET", f"/events/{JOB}", events(event(1, "processing", stage=evil), event(2, "failed")))
    server.on("GET", f"/status/{JOB}", json_reply(200, FAILED | {"error": {"code": evil, "message": evil}}))
    done = cascade("talk", "question.wav")
    assert "\x1b" not in done.out + done.err
    assert "owned" in done.err


def test_https_is_spoken_too(cascade, folder, tmp_path, monkeypatch):
    """With a certificate that is trusted; with another, that is what is told."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    with CascadeServer(context) as server:
        done = cascade("talk", "question.wav", "--url", server.url)
        assert (done.code, "certificate" in done.err) == (3, True)
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
        assert cascade("talk", "question.wav", "--url", server.url).code == 0


def test_a_full_disk_is_told_with_where_the_answer_is(cascade, server):
    """The job is not lost with it."""
    if os.access("/dev/full", os.W_OK):
        server.on("GET", f"/audio/{JOB}", Reply((b"RIFF" * 100_000,)))
        done = cascade("talk", "question.wav", "-o", "/dev/full")
        assert (done.code, f"/audio/{JOB}" in done.err) == (1, True)
