"""An engine in a child process: crashes, hangs and failed starts do not harm the worker."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from functools import partial

import pytest
from structlog.testing import capture_logs

from fakes import engine_in_process
from fakes.engine_in_process import FakeEngine
from shared.errors import EngineCrashed, EngineTimeout, NoSpeech, StartupError
from shared.worker.engine_process import EngineProcess


@pytest.fixture
async def process():
    process = EngineProcess(engine_in_process.load, service="test", log_level="warning")
    yield process
    process.close()


async def test_engine_runs_in_one_other_process(process):
    """The engine returns its name and model, and the same child process serves all calls."""
    assert await process.start() == ("fake", "tiny")
    pid = await process.run(FakeEngine.pid, 10)
    assert pid != os.getpid()
    assert await process.run(FakeEngine.pid, 10) == pid


async def test_error_of_the_engine_reaches_the_caller(process):
    """A CascadeError raised in the child arrives with its type and its delay."""
    with pytest.raises(NoSpeech) as caught:
        await process.run(FakeEngine.raise_no_speech, 10)
    assert caught.value.retry_after_s == 3


async def test_crashed_engine_is_replaced(process):
    """A crash raises EngineCrashed at once, and the next call gets a new engine."""
    await process.start()
    with pytest.raises(EngineCrashed):
        await process.run(FakeEngine.crash, 60)
    assert await process.run(FakeEngine.pid, 10) > 0


async def test_output_of_an_engine_is_logged_by_its_worker(process):
    """Output of an engine's C code, and the stack of its crash, become events in the worker's log."""
    with capture_logs() as logs:
        await process.run(FakeEngine.print_as_c_does, 60)
        with pytest.raises(EngineCrashed):
            await process.run(FakeEngine.crash, 60)
        await asyncio.to_thread(process.close)
    assert {log["event"] for log in logs} == {"child_output"}
    lines = [log["message"] for log in logs]
    assert lines[:2] == ["to standard output", "to standard error"]
    assert "Fatal Python error: Segmentation fault" in lines
    assert any("in crash" in line for line in lines)


async def test_hanging_engine_is_killed(process):
    """An engine that hangs with the interpreter's lock held is killed at its timeout, and the next call works."""
    await process.start()
    with pytest.raises(EngineTimeout):
        await process.run(FakeEngine.hang, 0.5)
    assert await process.run(FakeEngine.pid, 10) > 0


async def test_cancelled_call_is_killed(process):
    """Cancelling a call ends its computation, and the next call does not wait for it."""
    await process.start()
    call = asyncio.create_task(process.run(FakeEngine.hang, 60))
    await asyncio.sleep(0.5)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert await process.run(FakeEngine.pid, 20) > 0


async def test_event_loop_runs_while_an_engine_holds_the_interpreter(process):
    """The worker's event loop keeps running while the engine holds the lock of its interpreter."""
    await process.start()
    ticks = 0
    call = asyncio.create_task(process.run(FakeEngine.hold_the_interpreter, 10, 1.0))
    while not call.done():
        await asyncio.sleep(0.01)
        ticks += 1
    assert ticks > 20


async def test_failed_load_is_raised_by_start():
    """The StartupError that names the variable reaches the caller of `start`."""
    process = EngineProcess(partial(engine_in_process.load, fail=True), service="test", log_level="warning")
    with pytest.raises(StartupError, match="STT_MODEL"):
        await process.start()
    process.close()


async def test_crash_while_loading_is_a_startup_error():
    """An engine that crashes while it loads raises StartupError instead of being started again and again."""
    process = EngineProcess(engine_in_process.load_and_crash, service="test", log_level="warning")
    with pytest.raises(StartupError, match="crashed"):
        await process.start()
    process.close()


async def test_engine_is_loaded_again_after_a_failed_reload(tmp_path):
    """A reload that crashed does not disable the worker: a later call loads the engine again."""
    marker = tmp_path / "marker"
    load = partial(engine_in_process.load_unless_marked, marker)
    process = EngineProcess(load, service="test", log_level="warning")
    await process.start()
    marker.write_text("crash")
    for _ in range(2):
        with pytest.raises(EngineCrashed):
            await process.run(FakeEngine.crash, 20)
    marker.unlink()
    pid = None
    for _ in range(3):
        with suppress(EngineCrashed):
            pid = await process.run(FakeEngine.pid, 20)
    assert pid
    process.close()


def test_engine_ends_with_its_worker():
    """`kill -9` of a worker also ends its engine's process."""
    worker = subprocess.Popen(
        [sys.executable, engine_in_process.__file__], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert worker.stdout is not None
    engine_pid = int(worker.stdout.readline())
    worker.kill()
    worker.wait()
    worker.stdout.close()
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            os.kill(engine_pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.05)
    os.kill(engine_pid, signal.SIGKILL)
    pytest.fail("The engine's process is still alive.")
