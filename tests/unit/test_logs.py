"""The log of one service: one JSON object a line, whatever happens."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

START = "from shared.logs import configure_logs, get_logger; configure_logs('info', 'test')\n"


def events_of(program: str, code: int = 0) -> list[dict[str, Any]]:
    """The log of a program."""
    done = subprocess.run(
        [sys.executable, "-c", START + program], stderr=subprocess.PIPE, text=True, timeout=60, check=False
    )
    assert done.returncode == code, done.stderr
    events = [json.loads(line) for line in done.stderr.splitlines()]
    assert all(event.keys() >= {"time", "level", "service", "event"} for event in events)
    assert {event["service"] for event in events} == {"test"}
    return events


@pytest.mark.parametrize(
    ("program", "name", "code"),
    [
        pytest.param("raise ValueError('wrong')", "uncaught_exception", 1, id="in the program"),
        pytest.param(
            "import threading\ndef run(): raise ValueError('wrong')\nthreading.Thread(target=run).start()",
            "uncaught_exception_in_thread",
            0,
            id="in a thread",
        ),
        pytest.param(
            "class Odd:\n  def __del__(self): raise ValueError('wrong')\nOdd()",
            "unraisable_exception",
            0,
            id="at the end",
        ),
        pytest.param(
            "import asyncio\nasync def fail(): raise ValueError('wrong')\n"
            "async def run():\n  asyncio.create_task(fail())\n  await asyncio.sleep(0.1)\nasyncio.run(run())",
            "Task exception was never retrieved",
            0,
            id="in a task",
        ),
    ],
)
def test_an_exception_that_nothing_catches_is_one_event(program, name, code):
    """Its traceback is in one line of the log, with the name and level of an event."""
    [event] = events_of(program, code)
    assert event["event"].startswith(name)
    assert event["level"] in ("error", "critical")
    assert "ValueError: wrong" in event["exception"]


def test_printed_lines_and_warnings_are_events():
    """A line that a library prints on standard error, and a Python warning, are each an event."""
    printed, warning = events_of(
        "import sys, warnings\nsys.stderr.write('one '); sys.stderr.write('line\\n'); warnings.warn('old')"
    )
    assert (printed["event"], printed["message"]) == ("stderr_line", "one line")
    assert (warning["level"], "UserWarning: old" in warning["event"]) == ("warning", True)


def test_events_of_threads_name_the_service():
    """An event that a thread logs has the same keys as any other."""
    [event] = events_of("import threading; threading.Thread(target=get_logger().info, args=('tick',)).start()")
    assert event["event"] == "tick"


def test_text_that_is_no_unicode_can_be_logged():
    """A lone surrogate does not stop the log."""
    [event] = events_of("get_logger().info('tick', text='\\udc80')")
    assert event["text"] == "\udc80"


def test_long_lines_of_two_processes_stay_whole():
    """Processes that share a pipe write lines that are longer than the kernel keeps in one piece, and none is torn."""
    program = START + "for n in range(200): get_logger().info('tick', text='x' * 20_000)"
    reader, writer = os.pipe()
    processes = [subprocess.Popen([sys.executable, "-c", program], stderr=writer) for _ in range(3)]
    os.close(writer)
    with os.fdopen(reader, "rb") as log:
        lengths = [len(json.loads(line)["text"]) for line in log]
    assert [process.wait() for process in processes] == [0, 0, 0]
    assert lengths == [20_000] * 600


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_service_goes_on_when_its_log_cannot_be_written():
    """A full disk behind the log fails no work of the service."""
    program = START + "get_logger().info('tick'); import logging; logging.error('tick'); print('done')"
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=full, check=True)
    assert done.stdout == b"done\n"


def test_wrong_settings_of_a_service_are_events():
    """A service that cannot start logs a line for each wrong variable; a command prints it."""
    program = "import sys\nfrom shared.settings import SharedSettings, read_settings\nread_settings(SharedSettings, {})"
    environment = os.environ | {"LOG_LEVEL": "loud"}
    for service, expected in (("'test'", True), ("None", False)):
        command = [sys.executable, "-c", program.format(service)]
        done = subprocess.run(command, env=environment, stderr=subprocess.PIPE, text=True, check=False)
        assert done.returncode == 2
        assert "Correct LOG_LEVEL in the environment" in done.stderr
        assert done.stderr.startswith("{") is expected
