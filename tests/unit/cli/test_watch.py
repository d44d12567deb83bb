"""`cascade watch`."""

import os
import pty
import signal

from fakes.cascade_server import Cut, Reply, html_reply, json_reply, problem_reply

STAGE = {"waiting": 3, "oldest_s": 1.5, "working": 1, "done_per_min": 2.5, "workers": 2}
OVERVIEW = {
    "stages": {"stt": STAGE},
    "live": 4,
    "delayed": 0,
    "dead": 1,
    "workers": [{"name": "stt-1\x1b[2J", "stage": "stt", "engine": "e", "model": "m", "working": 1}],
}
QUEUES = json_reply(200, OVERVIEW)
LINE = "stt: 3 waiting, 1 working, 2 workers; jobs: 4 active; tasks: 0 delayed, 1 dead-lettered"


def test_watch_without_a_terminal_prints_lines(server, process):
    """Without a terminal `watch` prints a line for each poll, also for one that fails, and Ctrl-C ends it with 0."""
    server.on("GET", "/queues", QUEUES, Reply((Cut(),)), html_reply(502), QUEUES)
    with process("watch", "--every", "0.2") as command:
        lines = [command.stdout.readline().partition("  ")[2].rstrip() for _ in range(4)]
        command.send_signal(signal.SIGINT)
        _, err = command.communicate(timeout=60)
    assert (command.returncode, err) == (0, "")
    assert (lines[0], lines[3]) == (LINE, LINE)
    assert lines[1].startswith("No server responds at")
    assert lines[2].endswith("reaches no server (502).")


def test_watch_on_a_terminal_draws_tables(server, process):
    """On a terminal `watch` draws every stage and worker, with control characters in names escaped."""
    server.on("GET", "/queues", QUEUES)
    screen, terminal = pty.openpty()
    with process("watch", "--every", "0.2", stdin=terminal, stdout=terminal) as command:
        server.wait_for_requests("GET", "/queues", count=3)
        command.send_signal(signal.SIGINT)
        assert command.wait(60) == 0
    drawn = os.read(screen, 65536).decode(errors="replace")
    os.close(screen)
    os.close(terminal)
    assert "done per minute" in drawn
    assert "stt-1\\x1b[2J" in drawn


def test_watch_exits_if_the_server_refuses_or_is_absent(cascade, server):
    """`watch` exits with 4 if the server refuses the first poll, and with 3 if no server responds."""
    server.on("GET", "/queues", problem_reply(401, "unauthorized", "Send a key."))
    assert cascade("watch").code == 4
    assert cascade("watch", "--url", "http://127.0.0.1:1").code == 3
