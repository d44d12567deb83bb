"""`cascade talk` with many recordings."""

import json
import threading
import time

import pytest

from fakes.cascade_server import DONE, JOB, Gate, Reply, events, json_reply, problem

REFUSED = problem(415, "unsupported_media_type", "That is no audio.")
ACCEPTED = json_reply(202, {"job_id": JOB})


@pytest.fixture
def recordings(folder):
    for name in ("a.wav", "b.wav", "c.wav"):
        (folder / name).write_bytes(b"RIFF")
    return ["a.wav", "b.wav", "c.wav"]


def test_one_that_fails_stops_no_other(cascade, server, folder, recordings):
    """Refused by the server or not to be read: the others are answered, it is summed up, and the exit code is 1."""
    server.on("POST", "/transcribe", ACCEPTED, REFUSED, ACCEPTED)
    done = cascade("talk", *recordings, "absent.wav", "--jobs", "1")
    assert done.code == 1
    assert done.out == "a.wav\n  how much is it\n  It is twelve.\nc.wav\n  how much is it\n  It is twelve.\n"
    assert done.err.splitlines()[-4:] == [
        "2 of 4 done, failed:",
        "  b.wav: That is no audio.",
        "  absent.wav: There is no file absent.wav.",
        "cascade: 2 of 4 failed.",
    ]
    assert (folder / "a_response.wav").read_bytes() == (folder / "c_response.wav").read_bytes() == b"RIFF whole"


def test_json_is_a_line_for_each(cascade, server, recordings):
    """Also for those that failed."""
    server.on("POST", "/transcribe", ACCEPTED, REFUSED, ACCEPTED)
    done = cascade("talk", *recordings, "--jobs", "1", "--json")
    told = {line["file"]: line for line in map(json.loads, done.out.splitlines())}
    assert told["a.wav"] == DONE | {"file": "a.wav", "saved_to": "a_response.wav"}
    assert told["b.wav"]["error"] == {"code": "unsupported_media_type", "message": "That is no audio."}
    assert (done.code, len(told)) == (1, 3)


def test_not_more_than_wanted_are_sent_at_once(cascade, server, recordings):
    """--jobs is the bound."""
    gate = threading.Event()
    server.on("GET", f"/events/{JOB}", Reply((Gate(gate), *server.replies("GET", f"/events/{JOB}")[0].steps)))
    seen = []

    def look():
        server.until("GET", f"/events/{JOB}", times=2)
        time.sleep(0.3)  # a third would have come by now
        seen.append(len(server.requests("POST", "/transcribe")))
        gate.set()

    looking = threading.Thread(target=look)
    looking.start()
    done = cascade("talk", *recordings, "--jobs", "2")
    looking.join()
    assert (done.code, seen) == (0, [2])
    assert len(server.requests("POST", "/transcribe")) == 3


def test_a_server_that_is_full_is_waited_for_by_all(cascade, server, recordings):
    """What one is told holds for the others."""
    full = problem(503, "queue_full", "The queue is full.", retry_after="1")
    server.on("POST", "/transcribe", ACCEPTED, full, ACCEPTED)
    done = cascade("talk", *recordings, "--jobs", "1")
    assert (done.code, done.err.count("The queue is full. Waiting 1 s.")) == (0, 1)


def test_answers_are_not_taken_for_questions(cascade, server, recordings):
    """`cascade talk *.wav` finds them when it is said again."""
    assert cascade("talk", *recordings).code == 0
    done = cascade("talk", *recordings, "a_response.wav", "b_response.wav", "c_response.wav")
    assert (done.code, len(server.requests("POST", "/transcribe"))) == (0, 6)
    assert "a_response.wav is left out" in done.err


def test_answers_lie_where_they_are_wanted(cascade, folder, recordings):
    """-o names a folder, which is made."""
    assert cascade("talk", *recordings, "-o", "answers/").code == 0
    assert len(list((folder / "answers").iterdir())) == 3
    assert sorted(path.name for path in folder.glob("*.wav")) == [*recordings, "question.wav"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["a.wav", "sub/a.wav", "-o", "sub"], "the same answer's file"),
        (["a.wav", "a.mp3"], "the same answer's file"),
        (["a.wav", "b.wav", "-o", "c.wav"], "is no folder"),
    ],
)
def test_no_answer_is_written_over_another(cascade, server, folder, recordings, words, told):
    """It is wrong usage, and nothing is sent."""
    (folder / "sub").mkdir()
    done = cascade("talk", *words)
    assert (done.code, told in done.err, server.received) == (2, True, [])


@pytest.mark.parametrize(
    ("reply", "code"), [(problem(401, "unauthorized", "Send a key."), 4), (Reply(status=307), 3)], ids=["key", "other"]
)
def test_where_no_recording_could_be_sent_the_reason_counts(cascade, server, recordings, reply, code):
    """The exit codes of one recording hold for many, where the server lets nobody in at all."""
    server.on("GET", "/queues", reply)
    assert cascade("talk", *recordings).code == code
    assert not server.requests("POST", "/transcribe")
    assert cascade("talk", *recordings, "--url", "http://127.0.0.1:1").code == 3


def test_what_is_heard_alone_is_shown_alone(cascade, server, recordings):
    """Without an answer there is nothing to be written."""
    server.on("GET", f"/status/{JOB}", json_reply(200, DONE | {"response": None}))
    server.on("GET", f"/events/{JOB}", events(*server.replies("GET", f"/events/{JOB}")[0].steps))
    done = cascade("talk", "a.wav", "b.wav", "--jobs", "1", "--route", "stt")
    assert (done.code, done.out) == (0, "a.wav\n  how much is it\nb.wav\n  how much is it\n")
    assert not server.requests("GET", f"/audio/{JOB}")
