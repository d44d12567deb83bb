"""An engine in a child process: crashes, hangs and bad starts stay there."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from functools import partial

import pytest

from fakes import engine_in_process
from fakes.engine_in_process import Engine
from shared.errors import EngineCrashed, EngineTimeout, NoSpeech, StartupError
from shared.worker.engine_process import EngineProcess


@pytest.fixture
async def process():
    process = EngineProcess(engine_in_process.load, service="test", log_level="warning")
    yield process
    process.close()


async def test_an_engine_answers_from_another_process(process):
    """It says its name, computes elsewhere, and keeps its state from call to call."""
    assert await process.start() == ("fake", "tiny")
    pid = await process.run(Engine.pid, 10)
    assert pid != os.getpid()
    assert await process.run(Engine.pid, 10) == pid


async def test_errors_of_ours_come_through(process):
    """What an engine raises arrives with its code and its delay."""
    with pytest.raises(NoSpeech) as caught:
        await process.run(Engine.hear_nothing, 10)
    assert caught.value.retry_after_s == 3


async def test_a_crash_is_seen_at_once_and_mended(process):
    """The caller hears of it, and the next call finds a new engine."""
    await process.start()
    with pytest.raises(EngineCrashed):
        await process.run(Engine.crash, 60)
    assert await process.run(Engine.pid, 10) > 0


async def test_what_hangs_is_ended(process):
    """Even when it holds the interpreter's lock."""
    await process.start()
    with pytest.raises(EngineTimeout):
        await process.run(Engine.hang, 0.5)
    assert await process.run(Engine.pid, 10) > 0


async def test_what_nobody_waits_for_is_ended(process):
    """Cancelling the call ends the computation, and the next call need not wait for it."""
    await process.start()
    call = asyncio.create_task(process.run(Engine.hang, 60))
    await asyncio.sleep(0.5)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert await process.run(Engine.pid, 20) > 0


async def test_the_event_loop_goes_on_while_an_engine_holds_the_interpreter(process):
    """The heartbeat does not stand still."""
    await process.start()
    ticks = 0
    call = asyncio.create_task(process.run(Engine.hold_the_interpreter, 10, 1.0))
    while not call.done():
        await asyncio.sleep(0.01)
        ticks += 1
    assert ticks > 20


async def test_a_bad_start_is_told():
    """The error that names the variable reaches the worker's start."""
    process = EngineProcess(partial(engine_in_process.load, fail=True), service="test", log_level="warning")
    with pytest.raises(StartupError, match="STT_MODEL"):
        await process.start()
    process.close()


async def test_a_crash_while_loading_is_told():
    """The worker does not start over and over, it says that it cannot."""
    process = EngineProcess(engine_in_process.load_badly, service="test", log_level="warning")
    with pytest.raises(StartupError, match="crashed"):
        await process.start()
    process.close()


async def test_an_engine_that_could_not_be_loaded_again_may_be_later(tmp_path):
    """A model's file that was away for a moment does not make the worker useless for ever."""
    marker = tmp_path / "marker"
    load = partial(engine_in_process.load_once, marker)
    process = EngineProcess(load, service="test", log_level="warning")
    await process.start()
    marker.write_text("crash")
    for _ in range(2):
        with pytest.raises(EngineCrashed):
            await process.run(Engine.crash, 20)
    marker.unlink()
    pid = None
    for _ in range(3):
        with suppress(EngineCrashed):
            pid = await process.run(Engine.pid, 20)
    assert pid
    process.close()


def test_no_engine_outlives_its_worker():
    """kill -9 of a worker leaves no process behind that goes on computing."""
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
    pytest.fail("The engine's process is still there.")
