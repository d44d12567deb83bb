"""`cascade watch`."""

import os
import pty
import signal

from fakes.cascade_server import Cut, Reply, html_reply, json_reply, problem

STAGE = {"waiting": 3, "oldest_s": 1.5, "working": 1, "done_per_min": 2.5, "workers": 2}
OVERVIEW = {
    "stages": {"stt": STAGE},
    "live": 4,
    "delayed": 0,
    "dead": 1,
    "workers": [{"name": "stt-1\x1b[2J", "stage": "stt", "engine": "e", "model": "m", "working": 1}],
}
QUEUES = json_reply(200, OVERVIEW)
LINE = "stt: 3 waiting, 1 working, 2 workers; 4 jobs live, 0 tasks delayed, 1 set aside"


def test_without_a_terminal_it_prints_lines_until_it_is_interrupted(server, process):
    """A server that is away for a while is told of, and Ctrl-C is how it ends: 0."""
    server.on("GET", "/queues", QUEUES, Reply((Cut(),)), html_reply(502), QUEUES)
    with process("watch", "--every", "0.2") as command:
        lines = [command.stdout.readline().partition("  ")[2].rstrip() for _ in range(4)]
        command.send_signal(signal.SIGINT)
        _, err = command.communicate(timeout=60)
    assert (command.returncode, err) == (0, "")
    assert (lines[0], lines[3]) == (LINE, LINE)
    assert lines[1].startswith("No server answers at")
    assert lines[2].endswith("has no server behind it now (502).")


def test_on_a_terminal_it_is_drawn(server, process):
    """With every stage and worker, whose names have no power over the terminal."""
    server.on("GET", "/queues", QUEUES)
    ours, theirs = pty.openpty()
    with process("watch", "--every", "0.2", stdin=theirs, stdout=theirs) as command:
        server.until("GET", "/queues", times=3)
        command.send_signal(signal.SIGINT)
        assert command.wait(60) == 0
    seen = os.read(ours, 65536).decode(errors="replace")
    os.close(ours)
    os.close(theirs)
    assert "done a minute" in seen
    assert "stt-1\\x1b[2J" in seen


def test_who_gets_no_answer_is_told_why(cascade, server):
    """By the exit code as well."""
    server.on("GET", "/queues", problem(401, "unauthorized", "Send a key."))
    assert cascade("watch").code == 4
    assert cascade("watch", "--url", "http://127.0.0.1:1").code == 3
