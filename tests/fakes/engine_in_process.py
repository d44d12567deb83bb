"""An engine that misbehaves on request, and a worker with one (run as a program)."""

import asyncio
import ctypes
import os
import signal
import time
from pathlib import Path

from shared.errors import NoSpeech, StartupError
from shared.worker.engine_process import EngineProcess


class FakeEngine:
    """An engine whose methods raise, crash or hang."""

    name = "fake"
    model = "tiny"

    def pid(self) -> int:
        return os.getpid()

    def raise_no_speech(self) -> None:
        raise NoSpeech(retry_after_s=3)

    def crash(self) -> None:
        os.kill(os.getpid(), signal.SIGSEGV)

    def print_as_c_does(self) -> None:
        os.write(1, b"to standard output\n")
        os.write(2, b"to standard error\n")

    def hang(self) -> None:
        ctypes.PyDLL(None).sleep(60)  # unlike CDLL, this keeps the interpreter's lock

    def hold_the_interpreter(self, seconds: float) -> None:
        ctypes.PyDLL(None).usleep(int(seconds * 1_000_000))

    def nap(self) -> None:
        time.sleep(60)


def load_and_crash() -> FakeEngine:
    os.kill(os.getpid(), signal.SIGSEGV)
    raise AssertionError("unreachable")


def load_unless_marked(marker: Path) -> FakeEngine:
    """Crash for as long as the marker file contains "crash"."""
    if marker.exists() and marker.read_text() == "crash":
        load_and_crash()
    return FakeEngine()


def load(fail: bool = False) -> FakeEngine:
    if fail:
        raise StartupError("Set STT_MODEL.")
    return FakeEngine()


async def _run_until_killed() -> None:
    process = EngineProcess(load, service="test", log_level="warning")
    print(await process.run(FakeEngine.pid, 30), flush=True)
    await process.run(FakeEngine.nap, 60)


if __name__ == "__main__":
    asyncio.run(_run_until_killed())
