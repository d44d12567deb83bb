"""`cascade ask` and `cascade say`."""

import io
import json
import sys

from fakes.cascade_server import (
    ANSWER_EVENTS,
    COMPLETED_JOB,
    JOB_ID,
    event_stream,
    json_reply,
    problem_reply,
    sse_event,
)


def test_ask_prints_only_the_answer_on_standard_output(cascade, server, folder):
    """`cascade ask` prints the answer, not the question, and saves the WAV in the current folder under the job's id."""
    options = ["--language", "en", "--voice", "amy", "--conversation", "k1", "--system-prompt", "Briefly."]
    result = cascade("ask", "how much is it", *options, "--key", "secret")
    assert (result.code, result.out) == (0, "It is twelve.\n")
    [sent] = server.requests("POST", "/ask")
    assert sent.json == {
        "text": "how much is it",
        "language": "en",
        "voice": "amy",
        "conversation_id": "k1",
        "system_prompt": "Briefly.",
    }
    assert sent.headers["authorization"] == "Bearer secret"
    assert (folder / f"{JOB_ID}_response.wav").read_bytes() == b"RIFF whole"
    assert f"{JOB_ID}_response.wav (1.5 s" in result.err


def test_say_synthesizes_a_text(cascade, server, folder):
    """`cascade say` prints nothing on standard output and saves the WAV."""
    steps = sse_event(1, "pending"), sse_event(2, "processing", stage="tts", attempt=1), sse_event(3, "completed")
    server.on("GET", f"/events/{JOB_ID}", event_stream(*steps))
    result = cascade("say", "Hello, you.", "-o", "hello.wav", "--language", "en")
    assert (result.code, result.out) == (0, "")
    assert server.requests("POST", "/speak")[0].json == {"text": "Hello, you.", "language": "en"}
    assert (folder / "hello.wav").read_bytes() == b"RIFF whole"


def test_standard_input_can_be_the_text(cascade, server, monkeypatch):
    """`-` reads the text from standard input, and a text of spaces is a usage error."""
    monkeypatch.setattr(sys, "stdin", io.StringIO("From a file.\n"))
    assert cascade("say", "-").code == 0
    assert server.requests("POST", "/speak")[0].json == {"text": "From a file.\n"}
    result = cascade("ask", "  ")
    assert (result.code, "The text is empty" in result.err) == (2, True)


def test_exit_codes_and_json_are_those_of_talk(cascade, server):
    """`ask` and `say` exit with 0 for a completed job, 1 if it was cancelled, 3 without a server, 4 if it refuses."""
    result = cascade("ask", "x", "--json")
    assert (result.code, json.loads(result.out)) == (0, COMPLETED_JOB | {"saved_to": f"{JOB_ID}_response.wav"})
    assert cascade("say", "x", "--url", "http://127.0.0.1:1").code == 3
    server.on("POST", "/speak", problem_reply(422, "invalid_request", "Too long."))
    assert cascade("say", "x").code == 4
    server.on("GET", f"/events/{JOB_ID}", event_stream(*ANSWER_EVENTS[:2], sse_event(3, "cancelled")))
    server.on("GET", f"/status/{JOB_ID}", json_reply(200, COMPLETED_JOB | {"status": "cancelled", "error": None}))
    result = cascade("ask", "x")
    assert (result.code, "The job was cancelled." in result.err) == (1, True)
