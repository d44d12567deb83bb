"""`cascade talk` with several recordings."""

import json
import threading
import time

import pytest

from fakes.cascade_server import COMPLETED_JOB, JOB_ID, Gate, Reply, event_stream, json_reply, problem_reply

REFUSAL = problem_reply(415, "unsupported_media_type", "That is no audio.")
ACCEPTANCE = json_reply(202, {"job_id": JOB_ID})


@pytest.fixture
def recordings(folder):
    for name in ("a.wav", "b.wav", "c.wav"):
        (folder / name).write_bytes(b"RIFF")
    return ["a.wav", "b.wav", "c.wav"]


def test_failed_recording_does_not_stop_the_others(cascade, server, folder, recordings):
    """If a recording is refused or unreadable, the others are answered, a summary is shown, and the exit code is 1."""
    server.on("POST", "/transcribe", ACCEPTANCE, REFUSAL, ACCEPTANCE)
    result = cascade("talk", *recordings, "absent.wav", "--jobs", "1")
    assert result.code == 1
    assert result.out == "a.wav\n  how much is it\n  It is twelve.\nc.wav\n  how much is it\n  It is twelve.\n"
    assert result.err.splitlines()[-4:] == [
        "2 of 4 done, failed:",
        "  b.wav: That is no audio.",
        "  absent.wav: There is no file absent.wav.",
        "cascade: 2 of 4 failed.",
    ]
    assert (folder / "a_response.wav").read_bytes() == (folder / "c_response.wav").read_bytes() == b"RIFF whole"


def test_json_has_one_line_for_each_recording(cascade, server, recordings):
    """--json prints one object for each recording, also for one that failed."""
    server.on("POST", "/transcribe", ACCEPTANCE, REFUSAL, ACCEPTANCE)
    result = cascade("talk", *recordings, "--jobs", "1", "--json")
    statuses = {line["file"]: line for line in map(json.loads, result.out.splitlines())}
    assert statuses["a.wav"] == COMPLETED_JOB | {"file": "a.wav", "saved_to": "a_response.wav"}
    assert statuses["b.wav"]["error"] == {"code": "unsupported_media_type", "message": "That is no audio."}
    assert (result.code, len(statuses)) == (1, 3)


def test_jobs_option_limits_concurrency(cascade, server, recordings):
    """No more recordings are sent at a time than --jobs allows."""
    gate = threading.Event()
    server.on("GET", f"/events/{JOB_ID}", Reply((Gate(gate), *server.replies("GET", f"/events/{JOB_ID}")[0].steps)))
    counts = []

    def count_uploads():
        server.wait_for_requests("GET", f"/events/{JOB_ID}", count=2)
        time.sleep(0.3)  # a third upload would have arrived by now
        counts.append(len(server.requests("POST", "/transcribe")))
        gate.set()

    counter = threading.Thread(target=count_uploads)
    counter.start()
    result = cascade("talk", *recordings, "--jobs", "2")
    counter.join()
    assert (result.code, counts) == (0, [2])
    assert len(server.requests("POST", "/transcribe")) == 3


def test_retry_after_holds_for_all_recordings(cascade, server, recordings):
    """A delay that the server requests of one recording holds for the others, and is reported once."""
    full = problem_reply(503, "queue_full", "The queue is full.", retry_after="1")
    server.on("POST", "/transcribe", ACCEPTANCE, full, ACCEPTANCE)
    result = cascade("talk", *recordings, "--jobs", "1")
    assert (result.code, result.err.count("The queue is full. Waiting 1 s.")) == (0, 1)


def test_answers_of_an_earlier_run_are_skipped(cascade, server, recordings):
    """`cascade talk *.wav` skips the answers that an earlier run wrote to the same folder."""
    assert cascade("talk", *recordings).code == 0
    result = cascade("talk", *recordings, "a_response.wav", "b_response.wav", "c_response.wav")
    assert (result.code, len(server.requests("POST", "/transcribe"))) == (0, 6)
    assert "a_response.wav is skipped" in result.err


def test_output_folder_is_created(cascade, folder, recordings):
    """With -o the answers are written to that folder, which is created."""
    assert cascade("talk", *recordings, "-o", "answers/").code == 0
    assert len(list((folder / "answers").iterdir())) == 3
    assert sorted(path.name for path in folder.glob("*.wav")) == [*recordings, "question.wav"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["a.wav", "sub/a.wav", "-o", "sub"], "would both be written to"),
        (["a.wav", "a.mp3"], "would both be written to"),
        (["a.wav", "b.wav", "-o", "c.wav"], "is not a folder"),
    ],
)
def test_conflicting_output_files_are_a_usage_error(cascade, server, folder, recordings, arguments, message):
    """Two answers that would have the same file are a usage error, and nothing is sent."""
    (folder / "sub").mkdir()
    result = cascade("talk", *arguments)
    assert (result.code, message in result.err, server.received) == (2, True, [])


@pytest.mark.parametrize(
    ("reply", "code"),
    [(problem_reply(401, "unauthorized", "Send a key."), 4), (Reply(status=307), 3)],
    ids=["no key", "redirect"],
)
def test_batch_exits_with_the_server_s_error_if_nothing_can_be_sent(cascade, server, recordings, reply, code):
    """If the server refuses the client or is absent, a batch has the same exit code as a single recording."""
    server.on("GET", "/queues", reply)
    assert cascade("talk", *recordings).code == code
    assert not server.requests("POST", "/transcribe")
    assert cascade("talk", *recordings, "--url", "http://127.0.0.1:1").code == 3


def test_route_stt_prints_only_transcripts(cascade, server, recordings):
    """With --route stt a batch prints the transcripts and downloads no audio."""
    server.on("GET", f"/status/{JOB_ID}", json_reply(200, COMPLETED_JOB | {"response": None}))
    server.on("GET", f"/events/{JOB_ID}", event_stream(*server.replies("GET", f"/events/{JOB_ID}")[0].steps))
    result = cascade("talk", "a.wav", "b.wav", "--jobs", "1", "--route", "stt")
    assert (result.code, result.out) == (0, "a.wav\n  how much is it\nb.wav\n  how much is it\n")
    assert not server.requests("GET", f"/audio/{JOB_ID}")
