"""Conversion of output lines into JSON log events."""

import json
import time

import pytest

from cli.local_stack.log_lines import json_lines


@pytest.fixture(autouse=True)
def _in_utc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()


def test_event_is_not_changed():
    """A line that already is an event is not wrapped in another one."""
    line = b'{"event": "job_accepted", "level": "info", "time": "2026-11-27T23:49:31Z", "service": "api"}'
    assert json_lines(line, "api") == [line]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        pytest.param(
            b"7:M 27 Nov 2026 23:49:31.123 # Out of memory",
            ("redis_message", "warning", "2026-11-27T23:49:31.123000Z", "Out of memory"),
            id="redis",
        ),
        pytest.param(
            b"7:signal-handler (1795824230) Received SIGTERM scheduling shutdown...",
            ("redis_message", "info", "2026-11-28T00:03:50.000000Z", "Received SIGTERM scheduling shutdown..."),
            id="redis's signal handler",
        ),
        pytest.param(
            b"2026-11-27 23:49:31,123 WARN exited: api (terminated by SIGKILL)",
            (
                "supervisor_message",
                "warning",
                "2026-11-27T23:49:31.123000Z",
                "exited: api (terminated by SIGKILL)",
            ),
            id="supervisor",
        ),
    ],
)
def test_line_of_redis_or_supervisor_keeps_its_time_and_level(line, expected):
    """A line of Redis or supervisor becomes an event with its own time and level."""
    [event] = map(json.loads, json_lines(line, "name"))
    assert (event["event"], event["level"], event["time"], event["message"]) == expected


@pytest.mark.parametrize(
    "line",
    [
        b"Segmentation fault",
        b'{"event": "half of a line, whose process was kil',
        b'{"message": "an object without the keys of an event"}',
        b"[1, 2]",
        b"half a line {}",
        b"not \xff UTF-8",
        b"99:M 99 Nov 2026 23:49:31.123 # impossible day",
    ],
)
def test_other_text_becomes_the_message_of_an_event(line):
    """A line of plain or damaged text becomes an event with the name of its process."""
    [event] = map(json.loads, json_lines(line, "stt-worker"))
    assert (event["event"], event["service"], event["level"]) == ("output_line", "stt-worker", "warning")
    assert event["message"] == line.decode(errors="backslashreplace")


def test_event_after_text_without_line_feed_becomes_a_separate_line():
    """An event that follows text without a line feed, as C code prints it, becomes a line of its own."""
    event = b'{"text": "{\\"", "event": "tick", "level": "info", "time": "", "service": "api"}'
    text, after = json_lines(b'loading {"model" ... ' + event, "api")
    assert json.loads(text)["message"] == 'loading {"model" ... '
    assert after == event
