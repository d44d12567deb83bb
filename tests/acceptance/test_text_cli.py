"""`cascade ask` and `cascade say`, as their user meets them, with the embedded engines."""

import re
import wave

import pytest

from support.cli_process import ANSWER, done
from support.services import ServiceProcesses

pytestmark = pytest.mark.redis


def test_a_text_is_spoken_so_that_it_is_understood(embedded: ServiceProcesses, folder):
    """A recognizer hears what was written, to the word."""
    code, out, err = done(embedded, folder, "say", "I would like to hear some music.", "-o", "said.wav")
    assert (code, out) == (0, ""), err
    assert "speaking" in err
    with wave.open(str(folder / "said.wav")) as file:
        assert 1 < file.getnframes() / file.getframerate() < 10
    code, out, err = done(embedded, folder, "talk", "said.wav", "--route", "stt")
    assert (code, out) == (0, "i would like to hear some music\n"), err
    assert not (folder / "said_response.wav").exists()


def test_a_written_question_is_answered_and_spoken(embedded: ServiceProcesses, folder):
    """The answer is all that is printed, and its sound lies here under the job's id."""
    code, out, err = done(embedded, folder, "ask", "How much is seven plus five?")
    assert (code, out) == (0, f"{ANSWER}\n"), err
    [written] = folder.glob("*_response.wav")
    assert re.fullmatch(r"[0-9a-f]{32}_response\.wav", written.name)
    with wave.open(str(written)) as file:
        assert file.getnframes() / file.getframerate() > 1


def test_exit_codes_say_what_went_wrong(embedded: ServiceProcesses, folder):
    """Wrong usage, not reachable, refused."""
    codes = {
        ("say", " "): 2,
        ("ask", "x", "-o", "absent/x.wav"): 2,
        ("say", "x", "--url", "http://127.0.0.1:1"): 3,
        ("ask", "x", "--conversation", "not one"): 4,
        ("say", "x" * 30_000): 4,
    }
    assert {words: done(embedded, folder, *words)[0] for words in codes} == codes
