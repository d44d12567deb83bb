"""What a person at a terminal sees, while it happens."""

import os
import pty
import re
import subprocess
import threading

import pytest

from fakes.cascade_server import ANSWER, JOB, Gate, event, events


class Screen:
    """The other end of a terminal."""

    def __init__(self):
        self._ours, self.theirs = pty.openpty()
        self.seen = ""

    def until(self, wanted: str) -> str:
        """All that was written, once it holds a text."""
        while wanted not in self.seen:
            self.seen += os.read(self._ours, 4096).decode(errors="replace")
        return self.seen

    def close(self):
        os.close(self._ours)
        os.close(self.theirs)


@pytest.fixture
def screen():
    screen = Screen()
    yield screen
    screen.close()


def test_the_answer_is_shown_as_it_comes(server, process, screen):
    """Word by word, with the stage that works before it, and told when it begins anew."""
    first, second = threading.Event(), threading.Event()
    anew = event(7, "restarted", first=1), event(8, "text", text="It is thirteen."), *ANSWER[7:]
    server.on("GET", f"/events/{JOB}", events(*ANSWER[:2], Gate(first), *ANSWER[2:6], Gate(second), *anew))
    terminal = {"stdin": screen.theirs, "stdout": screen.theirs, "stderr": screen.theirs}
    with process("talk", "question.wav", **terminal) as command:
        screen.until("recognizing speech")
        first.set()
        screen.until("It is")
        second.set()
        screen.until("question_response.wav")
        assert command.wait(30) == 0
    lines = re.split(r"[\r\n]+", re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", screen.seen))
    told = [line for line in lines if re.match("heard|answered|the answer|spoken", line)]
    assert told == [
        "heard     how much is it",
        "answered  It is",
        "the answer begins anew: what came of it so far does not count",
        "answered  It is thirteen.",
        "spoken    question_response.wav (1.5 s, the first of it after 0.25 s)",
    ]


def test_a_file_gets_the_text_alone(server, process, screen):
    """`> answer.txt` at a terminal: the spinner stays there."""
    with process("talk", "question.wav", stdin=screen.theirs, stderr=screen.theirs) as command:
        out, _ = command.communicate(timeout=60)
    assert (command.returncode, out) == (0, "how much is it\nIt is twelve.\n")
    assert "speaking" in screen.until("question_response.wav")


def test_many_have_a_bar(server, process, screen, folder):
    """On the terminal; what comes into a file is whole."""
    (folder / "b.wav").write_bytes(b"RIFF")
    with process("talk", "question.wav", "b.wav", stdin=screen.theirs, stderr=screen.theirs) as command:
        out, _ = command.communicate(timeout=60)
    assert command.returncode == 0
    assert out.count("  It is twelve.\n") == 2
    assert "\x1b" not in out
    assert "━" in screen.until("2 of 2 done.")


def test_without_a_terminal_there_are_no_colours(server, process):
    """And no bars: lines."""
    with process("talk", "question.wav", stdin=subprocess.DEVNULL) as command:
        out, err = command.communicate(timeout=60)
    assert "\x1b" not in out + err
