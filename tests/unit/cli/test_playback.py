"""`--play`: the answer is heard while it is being made."""

import io
import sys
import threading
import wave

import pytest

from fakes.cascade_server import ANSWER, JOB, Cut, Gate, Reply, event, events, html_reply, problem


class Broken(Exception):
    """What the device raises."""


class Device:
    """Stands for the sounddevice package and the device behind it."""

    PortAudioError = Broken

    def __init__(self):
        self.played, self.log = b"", []
        self.is_there, self.breaks_after = True, 10**9
        self.heard, self.may_go_on = threading.Event(), threading.Event()
        self.may_go_on.set()

    def check_output_settings(self, **_):
        if not self.is_there:
            raise Broken

    def RawOutputStream(self, samplerate, channels, dtype):  # noqa: N802 - as there
        assert (channels, dtype) == (1, "int16")
        self.log.append(samplerate)
        return self

    def start(self):
        self.log.append("start")

    def write(self, samples):
        if len(self.played) >= self.breaks_after:
            raise Broken
        self.played += samples
        self.heard.set()
        assert self.may_go_on.wait(30)

    def stop(self):
        self.log.append("stop")

    def abort(self):
        self.log.append("abort")

    def close(self):
        self.log.append("close")


@pytest.fixture
def device(monkeypatch):
    device = Device()
    monkeypatch.setitem(sys.modules, "sounddevice", device)
    return device


def wav(samples: bytes, rate_hz: int = 8000) -> Reply:
    whole = io.BytesIO()
    with wave.open(whole, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        file.writeframes(samples)
    return Reply((whole.getvalue(),), headers={"content-type": "audio/wav"})


def piece(letter: bytes) -> bytes:
    """Longer than what is handed to the device at once."""
    return letter * 5000


def segments(server, **letters: str) -> None:
    for name, letter in letters.items():
        server.on("GET", f"/audio/{JOB}/segments/{name[1:]}", wav(piece(letter.encode())))


def made(number: int, index: int) -> bytes:
    return event(number, "segment", index=index, duration_s=1, url="http://127.0.0.1:9/")


DONE = event(20, "completed")


def test_pieces_are_played_in_order(cascade, server, folder, device):
    """Whatever the order in which they were made, to the end, and the file is written as well."""
    segments(server, s0="a", s1="b", s2="c")
    server.on("GET", f"/events/{JOB}", events(*ANSWER[:7], made(8, 1), made(9, 0), made(10, 2), DONE))
    done = cascade("talk", "question.wav", "--play")
    assert (done.code, done.out) == (0, "how much is it\nIt is twelve.\n")
    assert device.played == piece(b"a") + piece(b"b") + piece(b"c")
    assert device.log == [8000, "start", "stop", "close"]
    assert (folder / "question_response.wav").exists()


def test_it_is_heard_before_it_is_complete(cascade, server, device):
    """The first piece does not wait for the last."""
    segments(server, s0="a", s1="b")
    server.on("GET", f"/events/{JOB}", events(made(1, 0), Gate(device.heard), made(2, 1), DONE))
    assert cascade("say", "x", "--play").code == 0
    assert device.played == piece(b"a") + piece(b"b")


def test_an_answer_that_begins_anew_is_heard_anew(cascade, server, device):
    """What came before is broken off, and not mixed with what counts."""
    segments(server, s0="a", s1="b", s2="c", s3="d")
    anew = event(3, "restarted", first=2), made(4, 3), made(5, 2)
    server.on("GET", f"/events/{JOB}", events(made(1, 0), made(2, 1), Gate(device.heard), *anew, DONE))
    device.may_go_on.clear()

    def go_on():
        server.until("GET", f"/audio/{JOB}/segments/2")  # it is known by now
        device.may_go_on.set()

    going_on = threading.Thread(target=go_on)
    going_on.start()
    done = cascade("ask", "x", "--play")
    going_on.join()
    assert (done.code, "the answer begins anew" in done.err) == (0, True)
    assert device.played == b"a" * 1600 + piece(b"c") + piece(b"d")
    assert device.log[:4] == [8000, "start", "abort", "close"]


def test_nothing_is_written_that_was_only_to_be_heard(cascade, server, folder, device):
    """`say --play` leaves no file behind; with -o it does."""
    segments(server, s0="a")
    assert cascade("say", "x", "--play").code == 0
    assert [path.name for path in folder.iterdir()] == ["question.wav"]
    assert cascade("say", "x", "--play", "-o", "x.wav").code == 0
    assert (folder / "x.wav").exists()


def test_a_piece_that_breaks_off_is_fetched_again(cascade, server, device):
    """And one that is not to be had is told, and passed over."""
    segments(server, s1="b")
    whole = wav(piece(b"a"))
    server.on("GET", f"/audio/{JOB}/segments/0", Reply((b"RIFF", Cut())), html_reply(502), whole)
    server.on("GET", f"/audio/{JOB}/segments/2", problem(404, "no_such_segment", "There is no such segment."))
    server.on("GET", f"/audio/{JOB}/segments/3", Reply((b"no sound",)))
    server.on("GET", f"/events/{JOB}", events(*(made(index + 1, index) for index in range(4)), DONE))
    done = cascade("say", "x", "--play")
    assert (done.code, device.played) == (0, piece(b"a") + piece(b"b"))
    assert done.err.count("A piece of the answer cannot be heard.") == 2


def test_another_rate_is_played_at_its_rate(cascade, server, device):
    """Two workers may have different voices."""
    segments(server, s0="a")
    server.on("GET", f"/audio/{JOB}/segments/1", wav(piece(b"b"), 16_000))
    server.on("GET", f"/events/{JOB}", events(made(1, 0), made(2, 1), DONE))
    assert cascade("say", "x", "--play").code == 0
    assert device.log == [8000, "start", "stop", "close", 16_000, "start", "stop", "close"]


def test_a_device_that_is_pulled_out_costs_the_sound_alone(cascade, server, folder, device):
    """The answer is shown and written all the same."""
    device.breaks_after = 1
    segments(server, s0="a")
    done = cascade("talk", "question.wav", "--play")
    assert (done.code, done.out) == (0, "how much is it\nIt is twelve.\n")
    assert "The device plays no more" in done.err
    assert (folder / "question_response.wav").exists()


def test_a_job_that_fails_is_not_played_on(cascade, server, device):
    """What is being heard of it is broken off."""
    segments(server, s0="a")
    server.on("GET", f"/events/{JOB}", events(made(1, 0), Gate(device.heard), event(2, "cancelled")))
    server.on("GET", f"/status/{JOB}", Reply((b'{"status": "cancelled"}',)))
    assert cascade("say", "x", "--play").code == 1
    assert device.log[-2:] == ["abort", "close"]


def without_library(monkeypatch):
    """The package is there, and finds no PortAudio."""

    class Finder:
        def find_spec(self, name, *_):
            if name == "sounddevice":
                raise OSError("PortAudio library not found")

    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Finder(), *sys.meta_path])


def without_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "sounddevice", None)


def without_device(monkeypatch):
    device = Device()
    device.is_there = False
    monkeypatch.setitem(sys.modules, "sounddevice", device)


@pytest.mark.parametrize(
    ("arrange", "told"),
    [
        (without_package, "pip install sounddevice"),
        (without_library, "apt-get install libportaudio2"),
        (without_device, "no device to play through"),
    ],
)
def test_what_is_missing_is_told_before_anything_is_sent(cascade, server, monkeypatch, arrange, told):
    """And what to install."""
    arrange(monkeypatch)
    done = cascade("say", "x", "--play")
    assert (done.code, told in done.err, server.received) == (2, True, [])
    assert isinstance(cascade("say", "x").code, int), "it is needed for nothing else"
