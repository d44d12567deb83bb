"""`cascade ask` and `cascade say` with the embedded engines."""

import re
import wave

import pytest

from support.cli_process import ANSWER, run_command
from support.services import ServiceProcesses

pytestmark = pytest.mark.redis


def test_speech_of_say_can_be_transcribed(embedded: ServiceProcesses, folder):
    """The speech that `cascade say` writes is transcribed to the same words."""
    code, out, err = run_command(embedded, folder, "say", "I would like to hear some music.", "-o", "speech.wav")
    assert (code, out) == (0, ""), err
    assert "synthesizing speech" in err
    with wave.open(str(folder / "speech.wav")) as file:
        assert 1 < file.getnframes() / file.getframerate() < 10
    code, out, err = run_command(embedded, folder, "talk", "speech.wav", "--route", "stt")
    assert (code, out) == (0, "i would like to hear some music\n"), err
    assert not (folder / "speech_response.wav").exists()


def test_ask_prints_and_saves_the_answer(embedded: ServiceProcesses, folder):
    """`cascade ask` prints only the answer, and saves its WAV in the current folder under the job's id."""
    code, out, err = run_command(embedded, folder, "ask", "How much is seven plus five?")
    assert (code, out) == (0, f"{ANSWER}\n"), err
    [path] = folder.glob("*_response.wav")
    assert re.fullmatch(r"[0-9a-f]{32}_response\.wav", path.name)
    with wave.open(str(path)) as file:
        assert file.getnframes() / file.getframerate() > 1


def test_exit_codes_of_ask_and_say(embedded: ServiceProcesses, folder):
    """`ask` and `say` exit with 2 for wrong usage, 3 without a server, and 4 if the server refuses."""
    codes = {
        ("say", " "): 2,
        ("ask", "x", "-o", "absent/x.wav"): 2,
        ("say", "x", "--url", "http://127.0.0.1:1"): 3,
        ("ask", "x", "--conversation", "not one"): 4,
        ("say", "x" * 30_000): 4,
    }
    assert {arguments: run_command(embedded, folder, *arguments)[0] for arguments in codes} == codes
