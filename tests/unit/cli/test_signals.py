"""Jobs of a command that Ctrl-C or SIGTERM interrupts."""

import signal
import threading

import pytest

from fakes.cascade_server import (
    ACCEPTED_JOB,
    ANSWER_EVENTS,
    JOB_ID,
    Gate,
    Reply,
    event_stream,
    json_reply,
    problem_reply,
)


@pytest.fixture
def gate():
    """A gate at which the server waits. It is opened after the test, so that the server's threads end."""
    gate = threading.Event()
    yield gate
    gate.set()


def interrupt(command, number=signal.SIGINT):
    """Send a signal to a command and return its exit code and standard error."""
    command.send_signal(number)
    _, err = command.communicate(timeout=60)
    return command.returncode, err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupt_cancels_the_job(server, process, gate, folder, number):
    """SIGINT and SIGTERM cancel the job, exit with 130 and leave no file."""
    server.on("GET", f"/events/{JOB_ID}", event_stream(*ANSWER_EVENTS[:6], Gate(gate)))
    with process("talk", "question.wav") as command:
        server.wait_for_requests("GET", f"/events/{JOB_ID}")
        assert command.stdout.readline() == "how much is it\n"
        code, err = interrupt(command, number)
    assert (code, err.splitlines()[-1]) == (130, f"Interrupted. Job {JOB_ID} was cancelled.")
    assert len(server.requests("DELETE", f"/jobs/{JOB_ID}")) == 1
    assert [path.name for path in folder.iterdir()] == ["question.wav"]


def test_detached_job_is_not_cancelled(server, process, gate):
    """With --detach an interrupt leaves the job running and prints its status URL."""
    server.on("GET", f"/events/{JOB_ID}", event_stream(*ANSWER_EVENTS[:6], Gate(gate)))
    with process("talk", "question.wav", "--detach") as command:
        assert command.stdout.readline() == "how much is it\n"
        code, err = interrupt(command)
    assert (code, f"The job is still running: {server.url}/status/{JOB_ID}" in err) == (130, True)
    assert not server.requests("DELETE", f"/jobs/{JOB_ID}")


def test_failed_cancellation_is_reported(server, process, gate):
    """If the server cannot cancel the job, the command says that it is still running."""
    server.on("GET", f"/events/{JOB_ID}", event_stream(*ANSWER_EVENTS[:6], Gate(gate)))
    server.on("DELETE", f"/jobs/{JOB_ID}", problem_reply(503, "queue_unavailable", "No queue."))
    with process("talk", "question.wav") as command:
        assert command.stdout.readline() == "how much is it\n"
        code, err = interrupt(command)
    assert (code, "could not be cancelled and is still running" in err) == (130, True)


def test_job_accepted_after_the_interrupt_is_cancelled(server, process, gate):
    """A job that the server accepts just after the interrupt is cancelled: no client would follow it."""
    server.on("POST", "/transcribe", Reply((Gate(gate), *json_reply(202, ACCEPTED_JOB).steps), 202))
    with process("talk", "question.wav") as command:
        server.wait_for_requests("POST", "/transcribe")
        command.send_signal(signal.SIGINT)
        threading.Timer(0.3, gate.set).start()
        _, err = command.communicate(timeout=60)
    assert (command.returncode, f"Job {JOB_ID} was cancelled" in err) == (130, True)
    assert len(server.requests("DELETE", f"/jobs/{JOB_ID}")) == 1


def test_interrupt_does_not_wait_for_a_slow_server(server, process, gate):
    """An interrupted command ends even if the server does not respond to its upload."""
    server.on("POST", "/transcribe", Reply((Gate(gate),), 202))
    with process("talk", "question.wav") as command:
        server.wait_for_requests("POST", "/transcribe")
        code, err = interrupt(command)
    assert (code, "Interrupted before the server accepted the job" in err) == (130, True)


def test_interrupted_download_does_not_erase_the_answer(server, process, gate, folder):
    """An interrupt during the download sends no DELETE: it would erase the completed job."""
    server.on("GET", f"/audio/{JOB_ID}", Reply((b"RIFF", Gate(gate))))
    with process("talk", "question.wav") as command:
        server.wait_for_requests("GET", f"/audio/{JOB_ID}")
        assert interrupt(command)[0] == 130
    assert not server.requests("DELETE", f"/jobs/{JOB_ID}")
    assert [path.name for path in folder.iterdir()] == ["question.wav"]


def test_interrupt_cancels_all_jobs_of_a_batch(server, process, gate, folder):
    """An interrupt cancels the running jobs of a batch, and the others are not submitted."""
    for name in ("b.wav", "c.wav"):
        (folder / name).write_bytes(b"RIFF")
    server.on("GET", f"/events/{JOB_ID}", event_stream(*ANSWER_EVENTS[:6], Gate(gate)))
    with process("talk", "question.wav", "b.wav", "c.wav", "--jobs", "2") as command:
        server.wait_for_requests("GET", f"/events/{JOB_ID}", count=2)
        code, err = interrupt(command)
    assert (code, err.count("was cancelled"), "0 of 3 done." in err) == (130, 2, True)
    assert len(server.requests("DELETE", f"/jobs/{JOB_ID}")) == len(server.requests("POST", "/transcribe")) == 2
