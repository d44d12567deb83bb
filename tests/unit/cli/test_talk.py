"""`cascade talk` with one recording: its requests, its output and its files."""

import io
import json
import os
import sys
from pathlib import Path

import pytest

from fakes.cascade_server import (
    ANSWER_EVENTS,
    COMPLETED_JOB,
    JOB_ID,
    Cut,
    Reply,
    event_stream,
    json_reply,
    problem_reply,
    sse_event,
)

FAILED = COMPLETED_JOB | {"status": "failed", "error": {"code": "no_speech", "message": "No speech was found."}}


def test_texts_go_to_stdout_and_progress_to_stderr(cascade, server, folder):
    """Transcript and answer go to stdout, progress to stderr, and the WAV to the recording's folder."""
    result = cascade("talk", "question.wav")
    assert (result.code, result.out) == (0, "how much is it\nIt is twelve.\n")
    assert result.err.splitlines() == [
        "waiting",
        "transcribing",
        "generating the answer",
        "synthesizing speech",
        "WAV:        question_response.wav (1.5 s, first audio after 0.25 s)",
    ]
    assert (folder / "question_response.wav").read_bytes() == b"RIFF whole"
    [sent] = server.requests("POST", "/transcribe")
    assert b"RIFF question" in sent.body
    assert b"question.wav" not in sent.body
    assert sent.query == {}


def test_options_are_sent(cascade, server):
    """Each option becomes a field of the form, and every request carries the key."""
    options = ["--language", "en", "--voice", "amy", "--conversation", "k1", "--system-prompt", "Briefly."]
    assert cascade("talk", "question.wav", *options, "--route", "stt,llm", "--key", "secret").code == 0
    [sent] = server.requests("POST", "/transcribe")
    for name, value in {"language": "en", "voice": "amy", "conversation_id": "k1", "system_prompt": "Briefly."}.items():
        assert f'name="{name}"\r\n\r\n{value}\r\n'.encode() in sent.body
    assert sent.query == {"route": ["stt,llm"]}
    assert {request.headers.get("authorization") for request in server.received} == {"Bearer secret"}
    assert not server.requests("GET", f"/audio/{JOB_ID}"), "there is no audio to download"


def test_standard_input_can_be_the_recording(cascade, server, folder, monkeypatch):
    """`-` reads the recording from standard input, and the answer is written to the current folder."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"RIFF piped")))
    assert cascade("talk", "-").code == 0
    assert b"RIFF piped" in server.requests("POST", "/transcribe")[0].body
    assert (folder / "response.wav").exists()


@pytest.mark.parametrize(
    ("output", "path"),
    [("a.wav", "a.wav"), ("sub", "sub/question_response.wav"), ("sub/", "sub/question_response.wav")],
)
def test_output_option_names_a_file_or_a_folder(cascade, folder, output, path):
    """-o names the answer's file, or the folder for it."""
    (folder / "sub").mkdir()
    assert cascade("talk", "question.wav", "-o", output).code == 0
    assert (folder / path).read_bytes() == b"RIFF whole"
    assert not (folder / "question_response.wav").exists()


def test_output_to_a_device_does_not_replace_it(cascade, folder):
    """The atomic write does not replace /dev/null by a file, nor through a link."""
    before = Path("/dev/null").stat()
    assert cascade("talk", "question.wav", "-o", "/dev/null").code == 0
    assert Path("/dev/null").stat().st_ino == before.st_ino
    (folder / "link.wav").symlink_to("/dev/null")
    assert cascade("talk", "question.wav", "-o", "link.wav").code == 0
    assert Path("/dev/null").stat().st_ino == before.st_ino


def test_json_is_one_object_with_the_final_status(cascade):
    """--json prints the job's status as one object and nothing else."""
    result = cascade("talk", "question.wav", "--json")
    assert json.loads(result.out) == COMPLETED_JOB | {"file": "question.wav", "saved_to": "question_response.wav"}
    assert (result.code, result.err) == (0, "")


def test_restarted_answer_is_printed_once(cascade, server):
    """When the answer is restarted, standard output holds only the new answer."""
    restarted = sse_event(8, "restarted", first=2), sse_event(9, "text", text="It is thirteen.")
    server.on("GET", f"/events/{JOB_ID}", event_stream(*ANSWER_EVENTS[:7], *restarted, sse_event(10, "completed")))
    result = cascade("talk", "question.wav")
    assert result.out == "how much is it\nIt is thirteen.\n"
    assert "the answer was restarted" in result.err


def test_failed_job_exits_with_1(cascade, server, folder):
    """A failed job's error is printed as a sentence or as JSON, and the exit code is 1."""
    server.on(
        "GET",
        f"/events/{JOB_ID}",
        event_stream(*ANSWER_EVENTS[:2], sse_event(3, "failed", stage="stt", code="no_speech")),
    )
    server.on("GET", f"/status/{JOB_ID}", json_reply(200, FAILED))
    result = cascade("talk", "question.wav")
    assert (result.code, result.out) == (1, "")
    assert result.err.endswith("cascade: No speech was found. (no_speech)\n")
    result = cascade("talk", "question.wav", "--json")
    assert (result.code, json.loads(result.out)["error"]["code"]) == (1, "no_speech")
    assert not (folder / "question_response.wav").exists()


def test_retry_is_reported(cascade, server):
    """A stage that failed and is retried is reported with the error's code and the delay."""
    retrying = sse_event(6, "retrying", stage="llm", code="model_unavailable", delay_ms=1500)
    server.on("GET", f"/events/{JOB_ID}", event_stream(*ANSWER_EVENTS[:5], retrying, *ANSWER_EVENTS[6:]))
    result = cascade("talk", "question.wav")
    assert "generating the answer failed (model_unavailable); retrying in 1.5 s" in result.err


def test_erased_job_exits_with_1(cascade, server):
    """If the job was erased while the command followed it, the command reports that and does not reconnect."""
    server.on(
        "GET",
        f"/events/{JOB_ID}",
        event_stream(*ANSWER_EVENTS[:2], Cut()),
        problem_reply(404, "job_not_found", "No such job."),
    )
    result = cascade("talk", "question.wav")
    assert (result.code, "The job was erased." in result.err) == (1, True)


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (problem_reply(401, "unauthorized", "Send a key."), "Give one with --key or CASCADE_API_KEY"),
        (problem_reply(403, "forbidden", "Not from here."), "Not from here."),
        (problem_reply(413, "file_too_large", "At most 25 MB."), "At most 25 MB."),
        (problem_reply(503, "queue_full", "Full.", retry_after="99999"), "Full."),
        (json_reply(418, ["not", "ours"]), "Teapot"),
    ],
)
def test_refusal_exits_with_4(cascade, server, reply, message):
    """A refusal's detail is printed, and the exit code is 4."""
    server.on("POST", "/transcribe", reply)
    result = cascade("talk", "question.wav")
    assert (result.code, result.out) == (4, "")
    assert message in result.err
    assert "error" in json.loads(cascade("talk", "question.wav", "--json").out)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["absent.wav"], "There is no file absent.wav"),
        (["."], "is a folder"),
        (["question.wav", "-o", "absent/a.wav"], "There is no folder absent"),
        (["question.wav", "-o", "-"], "Standard output is for text"),
        (["question.wav", "--route", "stt", "--play"], "there is no audio"),
        (["question.wav", "--route", "tts"], "--route"),
        (["question.wav", "-"], "cannot be combined with files"),
        (["question.wav", "other.wav", "--play"], "one recording only"),
        (["question.wav", "other.wav", "--conversation", "k"], "one recording only"),
        (["question.wav", "--url", "http://[", "--key", "ä"], "malformed"),
        ([], "Missing argument"),
    ],
)
def test_usage_error_exits_with_2(cascade, server, arguments, message):
    """A usage error exits with 2 before anything is sent."""
    result = cascade("talk", *arguments)
    assert (result.code, message in result.err) == (2, True), result.err
    assert not server.received


def test_control_characters_from_the_server_are_escaped(cascade, server):
    """Control characters in the server's texts are escaped, in the answer and in errors."""
    evil = "\x1b]0;owned\x07[bold]x[/]"
    server.on(
        "GET",
        f"/events/{JOB_ID}",
        event_stream(*ANSWER_EVENTS[:5], sse_event(6, "text", text=evil), *ANSWER_EVENTS[7:]),
    )
    assert cascade("talk", "question.wav").out.endswith("\n\\x1b]0;owned\\x07[bold]x[/]\n")
    server.on("GET", f"/events/{JOB_ID}", event_stream(sse_event(1, "processing", stage=evil), sse_event(2, "failed")))
    server.on("GET", f"/status/{JOB_ID}", json_reply(200, FAILED | {"error": {"code": evil, "message": evil}}))
    result = cascade("talk", "question.wav")
    assert "\x1b" not in result.out + result.err
    assert "owned" in result.err


def test_full_disk_is_reported_with_the_answer_s_url(cascade, server):
    """If the answer cannot be written, the message names the URL from which it can be downloaded."""
    if os.access("/dev/full", os.W_OK):
        server.on("GET", f"/audio/{JOB_ID}", Reply((b"RIFF" * 100_000,)))
        result = cascade("talk", "question.wav", "-o", "/dev/full")
        assert (result.code, f"/audio/{JOB_ID}" in result.err) == (1, True)
