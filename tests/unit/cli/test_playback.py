"""`--play`: the answer is played while it is generated."""

import io
import sys
import threading
import wave

import pytest

from fakes.cascade_server import (
    ANSWER_EVENTS,
    JOB_ID,
    Cut,
    Gate,
    Reply,
    event_stream,
    html_reply,
    problem_reply,
    sse_event,
)


class DeviceError(Exception):
    """The exception of the fake device."""


class FakeDevice:
    """A fake of the sounddevice package and the output device."""

    PortAudioError = DeviceError

    def __init__(self):
        self.played = b""
        self.log = []
        self.is_present = True
        self.fails_after = 10**9
        self.has_played = threading.Event()
        self.may_continue = threading.Event()
        self.may_continue.set()

    def check_output_settings(self, **_):
        if not self.is_present:
            raise DeviceError

    def RawOutputStream(self, samplerate, channels, dtype):  # noqa: N802 - named by sounddevice
        assert (channels, dtype) == (1, "int16")
        self.log.append(samplerate)
        return self

    def start(self):
        self.log.append("start")

    def write(self, samples):
        if len(self.played) >= self.fails_after:
            raise DeviceError
        self.played += samples
        self.has_played.set()
        assert self.may_continue.wait(30)

    def stop(self):
        self.log.append("stop")

    def abort(self):
        self.log.append("abort")

    def close(self):
        self.log.append("close")


@pytest.fixture
def device(monkeypatch):
    device = FakeDevice()
    monkeypatch.setitem(sys.modules, "sounddevice", device)
    return device


def wav_reply(samples: bytes, rate_hz: int = 8000) -> Reply:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        file.writeframes(samples)
    return Reply((buffer.getvalue(),), headers={"content-type": "audio/wav"})


def samples_of(letter: bytes) -> bytes:
    """The samples of a segment, longer than one write to the device."""
    return letter * 5000


def serve_segments(server, letters: dict[int, bytes]) -> None:
    for index, letter in letters.items():
        server.on("GET", f"/audio/{JOB_ID}/segments/{index}", wav_reply(samples_of(letter)))


def segment_event(number: int, index: int) -> bytes:
    return sse_event(number, "segment", index=index, duration_s=1, url="http://127.0.0.1:9/")


COMPLETED = sse_event(20, "completed")


def test_segments_are_played_in_order(cascade, server, folder, device):
    """Segments are played by their numbers, whatever the order of their events, and the file is written, too."""
    serve_segments(server, {0: b"a", 1: b"b", 2: b"c"})
    server.on(
        "GET",
        f"/events/{JOB_ID}",
        event_stream(*ANSWER_EVENTS[:7], segment_event(8, 1), segment_event(9, 0), segment_event(10, 2), COMPLETED),
    )
    result = cascade("talk", "question.wav", "--play")
    assert (result.code, result.out) == (0, "how much is it\nIt is twelve.\n")
    assert device.played == samples_of(b"a") + samples_of(b"b") + samples_of(b"c")
    assert device.log == [8000, "start", "stop", "close"]
    assert (folder / "question_response.wav").exists()


def test_playback_starts_before_the_answer_is_complete(cascade, server, device):
    """The first segment is played before the last one exists."""
    serve_segments(server, {0: b"a", 1: b"b"})
    server.on(
        "GET",
        f"/events/{JOB_ID}",
        event_stream(segment_event(1, 0), Gate(device.has_played), segment_event(2, 1), COMPLETED),
    )
    assert cascade("say", "x", "--play").code == 0
    assert device.played == samples_of(b"a") + samples_of(b"b")


def test_restarted_answer_is_played_from_its_start(cascade, server, device):
    """When the answer is restarted, the old segment stops and only the new segments are played."""
    serve_segments(server, {0: b"a", 1: b"b", 2: b"c", 3: b"d"})
    restart = sse_event(3, "restarted", first=2), segment_event(4, 3), segment_event(5, 2)
    server.on(
        "GET",
        f"/events/{JOB_ID}",
        event_stream(segment_event(1, 0), segment_event(2, 1), Gate(device.has_played), *restart, COMPLETED),
    )
    device.may_continue.clear()

    def release():
        server.wait_for_requests("GET", f"/audio/{JOB_ID}/segments/2")  # the restart has been received by then
        device.may_continue.set()

    releasing = threading.Thread(target=release)
    releasing.start()
    result = cascade("ask", "x", "--play")
    releasing.join()
    assert (result.code, "the answer was restarted" in result.err) == (0, True)
    assert device.played == b"a" * 1600 + samples_of(b"c") + samples_of(b"d")
    assert device.log[:4] == [8000, "start", "abort", "close"]


def test_play_writes_no_file_without_output_option(cascade, server, folder, device):
    """`say --play` writes a file only with -o."""
    serve_segments(server, {0: b"a"})
    assert cascade("say", "x", "--play").code == 0
    assert [path.name for path in folder.iterdir()] == ["question.wav"]
    assert cascade("say", "x", "--play", "-o", "x.wav").code == 0
    assert (folder / "x.wav").exists()


def test_interrupted_segment_download_is_repeated(cascade, server, device):
    """A segment whose download breaks off is downloaded again; a missing or damaged one is reported and skipped."""
    serve_segments(server, {1: b"b"})
    reply = wav_reply(samples_of(b"a"))
    server.on("GET", f"/audio/{JOB_ID}/segments/0", Reply((b"RIFF", Cut())), html_reply(502), reply)
    server.on("GET", f"/audio/{JOB_ID}/segments/2", problem_reply(404, "no_such_segment", "There is no such segment."))
    server.on("GET", f"/audio/{JOB_ID}/segments/3", Reply((b"no sound",)))
    server.on(
        "GET", f"/events/{JOB_ID}", event_stream(*(segment_event(index + 1, index) for index in range(4)), COMPLETED)
    )
    result = cascade("say", "x", "--play")
    assert (result.code, device.played) == (0, samples_of(b"a") + samples_of(b"b"))
    assert result.err.count("A segment of the answer cannot be played.") == 2


def test_segments_are_played_at_their_sample_rates(cascade, server, device):
    """The device is opened again for a segment with another sample rate, as voices may differ between workers."""
    serve_segments(server, {0: b"a"})
    server.on("GET", f"/audio/{JOB_ID}/segments/1", wav_reply(samples_of(b"b"), 16_000))
    server.on("GET", f"/events/{JOB_ID}", event_stream(segment_event(1, 0), segment_event(2, 1), COMPLETED))
    assert cascade("say", "x", "--play").code == 0
    assert device.log == [8000, "start", "stop", "close", 16_000, "start", "stop", "close"]


def test_device_failure_stops_only_the_playback(cascade, server, folder, device):
    """If the device is unplugged, the answer is still shown and written."""
    device.fails_after = 1
    serve_segments(server, {0: b"a"})
    result = cascade("talk", "question.wav", "--play")
    assert (result.code, result.out) == (0, "how much is it\nIt is twelve.\n")
    assert "The output device failed" in result.err
    assert (folder / "question_response.wav").exists()


def test_playback_stops_when_the_job_ends_early(cascade, server, device):
    """Playback is aborted when the job fails or is cancelled."""
    serve_segments(server, {0: b"a"})
    server.on(
        "GET",
        f"/events/{JOB_ID}",
        event_stream(segment_event(1, 0), Gate(device.has_played), sse_event(2, "cancelled")),
    )
    server.on("GET", f"/status/{JOB_ID}", Reply((b'{"status": "cancelled"}',)))
    assert cascade("say", "x", "--play").code == 1
    assert device.log[-2:] == ["abort", "close"]


def without_library(monkeypatch):
    """Make the import of sounddevice fail as it does without PortAudio."""

    class Finder:
        def find_spec(self, name, *_):
            if name == "sounddevice":
                raise OSError("PortAudio library not found")

    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Finder(), *sys.meta_path])


def without_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "sounddevice", None)


def without_device(monkeypatch):
    device = FakeDevice()
    device.is_present = False
    monkeypatch.setitem(sys.modules, "sounddevice", device)


@pytest.mark.parametrize(
    ("arrange", "message"),
    [
        (without_package, "pip install sounddevice"),
        (without_library, "apt-get install libportaudio2"),
        (without_device, "no output device"),
    ],
)
def test_play_without_library_or_device_is_a_usage_error(cascade, server, monkeypatch, arrange, message):
    """If a library or the device for --play is missing, the error says what to install, and nothing is sent."""
    arrange(monkeypatch)
    result = cascade("say", "x", "--play")
    assert (result.code, message in result.err, server.received) == (2, True, [])
    assert isinstance(cascade("say", "x").code, int), "only --play needs the library"
