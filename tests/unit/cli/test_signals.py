"""Ctrl-C: what happens to the job, and that it is told."""

import signal
import threading

import pytest

from fakes.cascade_server import ACCEPTED, ANSWER, JOB, Gate, Reply, events, json_reply, problem


@pytest.fixture
def gate():
    """What the server waits for; opened at the end, so that its threads end."""
    gate = threading.Event()
    yield gate
    gate.set()


def interrupted(command, number=signal.SIGINT):
    """The exit code and what was told, of a command that is sent a signal now."""
    command.send_signal(number)
    _, err = command.communicate(timeout=60)
    return command.returncode, err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_job_is_cancelled(server, process, gate, folder, number):
    """Nobody waits for it any more."""
    server.on("GET", f"/events/{JOB}", events(*ANSWER[:6], Gate(gate)))
    with process("talk", "question.wav") as command:
        server.until("GET", f"/events/{JOB}")
        assert command.stdout.readline() == "how much is it\n"
        code, err = interrupted(command, number)
    assert (code, err.splitlines()[-1]) == (130, f"Interrupted. The job {JOB} is cancelled.")
    assert len(server.requests("DELETE", f"/jobs/{JOB}")) == 1
    assert [path.name for path in folder.iterdir()] == ["question.wav"]


def test_a_job_that_is_kept_runs_on(server, process, gate):
    """--detach says so, and where it can be seen is told."""
    server.on("GET", f"/events/{JOB}", events(*ANSWER[:6], Gate(gate)))
    with process("talk", "question.wav", "--detach") as command:
        assert command.stdout.readline() == "how much is it\n"
        code, err = interrupted(command)
    assert (code, f"The job goes on: {server.url}/status/{JOB}" in err) == (130, True)
    assert not server.requests("DELETE", f"/jobs/{JOB}")


def test_a_job_that_cannot_be_cancelled_is_told(server, process, gate):
    """So that nobody believes that it is."""
    server.on("GET", f"/events/{JOB}", events(*ANSWER[:6], Gate(gate)))
    server.on("DELETE", f"/jobs/{JOB}", problem(503, "queue_unavailable", "No queue."))
    with process("talk", "question.wav") as command:
        assert command.stdout.readline() == "how much is it\n"
        code, err = interrupted(command)
    assert (code, "could not be cancelled, and goes on" in err) == (130, True)


def test_a_job_that_is_just_being_accepted_is_cancelled_as_well(server, process, gate):
    """The recording is all there already: it would run on unseen."""
    server.on("POST", "/transcribe", Reply((Gate(gate), *json_reply(202, ACCEPTED).steps), 202))
    with process("talk", "question.wav") as command:
        server.until("POST", "/transcribe")
        command.send_signal(signal.SIGINT)
        threading.Timer(0.3, gate.set).start()
        _, err = command.communicate(timeout=60)
    assert (command.returncode, f"The job {JOB} is cancelled" in err) == (130, True)
    assert len(server.requests("DELETE", f"/jobs/{JOB}")) == 1


def test_a_server_that_does_not_accept_is_not_waited_for(server, process, gate):
    """It ends all the same."""
    server.on("POST", "/transcribe", Reply((Gate(gate),), 202))
    with process("talk", "question.wav") as command:
        server.until("POST", "/transcribe")
        code, err = interrupted(command)
    assert (code, "Interrupted before the server had accepted it" in err) == (130, True)


def test_an_answer_that_is_complete_is_not_erased(server, process, gate, folder):
    """A job that has ended is erased by what cancels one that runs."""
    server.on("GET", f"/audio/{JOB}", Reply((b"RIFF", Gate(gate))))
    with process("talk", "question.wav") as command:
        server.until("GET", f"/audio/{JOB}")
        assert interrupted(command)[0] == 130
    assert not server.requests("DELETE", f"/jobs/{JOB}")
    assert [path.name for path in folder.iterdir()] == ["question.wav"]


def test_all_of_many_are_cancelled(server, process, gate, folder):
    """Those under way; the others are not begun."""
    for name in ("b.wav", "c.wav"):
        (folder / name).write_bytes(b"RIFF")
    server.on("GET", f"/events/{JOB}", events(*ANSWER[:6], Gate(gate)))
    with process("talk", "question.wav", "b.wav", "c.wav", "--jobs", "2") as command:
        server.until("GET", f"/events/{JOB}", times=2)
        code, err = interrupted(command)
    assert (code, err.count("is cancelled"), "0 of 3 done." in err) == (130, 2, True)
    assert len(server.requests("DELETE", f"/jobs/{JOB}")) == len(server.requests("POST", "/transcribe")) == 2
