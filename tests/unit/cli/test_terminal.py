"""Output on a terminal, as it grows."""

import os
import pty
import re
import subprocess
import threading

import pytest

from fakes.cascade_server import ANSWER_EVENTS, JOB_ID, Gate, event_stream, sse_event


class Screen:
    """The screen of a pseudo-terminal."""

    def __init__(self):
        self._screen, self.terminal = pty.openpty()
        self.text = ""

    def wait_for(self, text: str) -> str:
        """Wait until `text` has been written, and return everything written so far."""
        while text not in self.text:
            self.text += os.read(self._screen, 4096).decode(errors="replace")
        return self.text

    def close(self):
        os.close(self._screen)
        os.close(self.terminal)


@pytest.fixture
def screen():
    screen = Screen()
    yield screen
    screen.close()


def test_answer_is_shown_as_it_grows(server, process, screen):
    """A terminal shows the current stage, the answer as it grows, and a notice when the answer is restarted."""
    first, second = threading.Event(), threading.Event()
    restart = sse_event(7, "restarted", first=1), sse_event(8, "text", text="It is thirteen."), *ANSWER_EVENTS[7:]
    server.on(
        "GET",
        f"/events/{JOB_ID}",
        event_stream(*ANSWER_EVENTS[:2], Gate(first), *ANSWER_EVENTS[2:6], Gate(second), *restart),
    )
    streams = {"stdin": screen.terminal, "stdout": screen.terminal, "stderr": screen.terminal}
    with process("talk", "question.wav", **streams) as command:
        screen.wait_for("transcribing")
        first.set()
        screen.wait_for("It is")
        second.set()
        screen.wait_for("question_response.wav")
        assert command.wait(30) == 0
    lines = re.split(r"[\r\n]+", re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", screen.text))
    labelled = [line for line in lines if re.match("Transcript|Answer|the answer|WAV", line)]
    assert labelled == [
        "Transcript: how much is it",
        "Answer:     It is",
        "the answer was restarted; the text so far is discarded",
        "Answer:     It is thirteen.",
        "WAV:        question_response.wav (1.5 s, first audio after 0.25 s)",
    ]


def test_redirected_output_has_no_spinner(server, process, screen):
    """Redirected standard output holds only transcript and answer; the spinner stays on the terminal."""
    with process("talk", "question.wav", stdin=screen.terminal, stderr=screen.terminal) as command:
        out, _ = command.communicate(timeout=60)
    assert (command.returncode, out) == (0, "how much is it\nIt is twelve.\n")
    assert "synthesizing speech" in screen.wait_for("question_response.wav")


def test_batch_has_a_progress_bar(server, process, screen, folder):
    """A batch draws its progress bar on the terminal, and redirected output holds only the answers."""
    (folder / "b.wav").write_bytes(b"RIFF")
    with process("talk", "question.wav", "b.wav", stdin=screen.terminal, stderr=screen.terminal) as command:
        out, _ = command.communicate(timeout=60)
    assert command.returncode == 0
    assert out.count("  It is twelve.\n") == 2
    assert "\x1b" not in out
    assert "━" in screen.wait_for("2 of 2 done.")


def test_output_without_a_terminal_has_no_colours(server, process):
    """Without a terminal the output holds no escape sequences."""
    with process("talk", "question.wav", stdin=subprocess.DEVNULL) as command:
        out, err = command.communicate(timeout=60)
    assert "\x1b" not in out + err
