"""`cascade ask` and `cascade say`."""

import io
import json
import sys

from fakes.cascade_server import ANSWER, DONE, JOB, event, events, json_reply, problem


def test_an_answer_is_all_that_is_on_standard_output(cascade, server, folder):
    """What was typed is not told back, and the sound lies in this folder under the job's id."""
    about = ["--language", "en", "--voice", "amy", "--conversation", "k1", "--system-prompt", "Briefly."]
    done = cascade("ask", "how much is it", *about, "--key", "secret")
    assert (done.code, done.out) == (0, "It is twelve.\n")
    [sent] = server.requests("POST", "/ask")
    assert sent.json == {
        "text": "how much is it",
        "language": "en",
        "voice": "amy",
        "conversation_id": "k1",
        "system_prompt": "Briefly.",
    }
    assert sent.headers["authorization"] == "Bearer secret"
    assert (folder / f"{JOB}_response.wav").read_bytes() == b"RIFF whole"
    assert f"{JOB}_response.wav (1.5 s" in done.err


def test_a_text_is_spoken(cascade, server, folder):
    """There is nothing to be read, only to be heard."""
    spoken = event(1, "pending"), event(2, "processing", stage="tts", attempt=1), event(3, "completed")
    server.on("GET", f"/events/{JOB}", events(*spoken))
    done = cascade("say", "Hello, you.", "-o", "hello.wav", "--language", "en")
    assert (done.code, done.out) == (0, "")
    assert server.requests("POST", "/speak")[0].json == {"text": "Hello, you.", "language": "en"}
    assert (folder / "hello.wav").read_bytes() == b"RIFF whole"


def test_standard_input_can_be_the_text(cascade, server, monkeypatch):
    """`-` reads it; nothing but space is none."""
    monkeypatch.setattr(sys, "stdin", io.StringIO("From a file.\n"))
    assert cascade("say", "-").code == 0
    assert server.requests("POST", "/speak")[0].json == {"text": "From a file.\n"}
    done = cascade("ask", "  ")
    assert (done.code, "There is no text" in done.err) == (2, True)


def test_the_codes_and_the_json_are_those_of_talk(cascade, server):
    """Done, failed, refused, not reachable."""
    done = cascade("ask", "x", "--json")
    assert (done.code, json.loads(done.out)) == (0, DONE | {"saved_to": f"{JOB}_response.wav"})
    assert cascade("say", "x", "--url", "http://127.0.0.1:1").code == 3
    server.on("POST", "/speak", problem(422, "invalid_request", "Too long."))
    assert cascade("say", "x").code == 4
    server.on("GET", f"/events/{JOB}", events(*ANSWER[:2], event(3, "cancelled")))
    server.on("GET", f"/status/{JOB}", json_reply(200, DONE | {"status": "cancelled", "error": None}))
    done = cascade("ask", "x")
    assert (done.code, "The job was cancelled." in done.err) == (1, True)
