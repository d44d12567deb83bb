"""The log of a service: one JSON object a line, also for errors, warnings and printed text."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

CONFIGURE = "from shared.logs import configure_logs, get_logger; configure_logs('info', 'test')\n"


def run_and_read_log(program: str, code: int = 0) -> list[dict[str, Any]]:
    """Run a program and return the events of its log."""
    result = subprocess.run(
        [sys.executable, "-c", CONFIGURE + program], stderr=subprocess.PIPE, text=True, timeout=60, check=False
    )
    assert result.returncode == code, result.stderr
    events = [json.loads(line) for line in result.stderr.splitlines()]
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
def test_uncaught_exception_is_one_event(program, name, code):
    """An uncaught exception is one line of the log, with its traceback and the level error or critical."""
    [event] = run_and_read_log(program, code)
    assert event["event"].startswith(name)
    assert event["level"] in ("error", "critical")
    assert "ValueError: wrong" in event["exception"]


def test_printed_lines_and_warnings_are_events():
    """A line that a library prints on standard error, and a warning of Python, become one event each."""
    printed, warning = run_and_read_log(
        "import sys, warnings\nsys.stderr.write('one '); sys.stderr.write('line\\n'); warnings.warn('old')"
    )
    assert (printed["event"], printed["message"]) == ("stderr_line", "one line")
    assert (warning["level"], "UserWarning: old" in warning["event"]) == ("warning", True)


def test_events_of_threads_name_the_service():
    """An event logged in a thread has the same keys as any other."""
    [event] = run_and_read_log("import threading; threading.Thread(target=get_logger().info, args=('tick',)).start()")
    assert event["event"] == "tick"


def test_lone_surrogate_can_be_logged():
    """A lone surrogate, which UTF-8 cannot encode, is logged as a JSON escape."""
    [event] = run_and_read_log("get_logger().info('tick', text='\\udc80')")
    assert event["text"] == "\udc80"


def test_long_lines_of_two_processes_stay_whole():
    """Lines that are longer than an atomic write stay whole when several processes write them to the same pipe."""
    program = CONFIGURE + "for n in range(200): get_logger().info('tick', text='x' * 20_000)"
    reader, writer = os.pipe()
    processes = [subprocess.Popen([sys.executable, "-c", program], stderr=writer) for _ in range(3)]
    os.close(writer)
    with os.fdopen(reader, "rb") as log:
        lengths = [len(json.loads(line)["text"]) for line in log]
    assert [process.wait() for process in processes] == [0, 0, 0]
    assert lengths == [20_000] * 600


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_unwritable_log_fails_no_work():
    """A service continues when the disk of its log is full."""
    program = CONFIGURE + "get_logger().info('tick'); import logging; logging.error('tick'); print('done')"
    with Path("/dev/full").open("wb") as full:
        result = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=full, check=True)
    assert result.stdout == b"done\n"


def test_wrong_settings_of_a_service_are_logged():
    """A service logs an event for each wrong setting, and a command prints a plain sentence."""
    program = "import sys\nfrom shared.settings import SharedSettings, read_settings\nread_settings(SharedSettings, {})"
    environment = os.environ | {"LOG_LEVEL": "loud"}
    for service, expected in (("'test'", True), ("None", False)):
        command = [sys.executable, "-c", program.format(service)]
        result = subprocess.run(command, env=environment, stderr=subprocess.PIPE, text=True, check=False)
        assert result.returncode == 2
        assert "Correct LOG_LEVEL in the environment" in result.stderr
        assert result.stderr.startswith("{") is expected
