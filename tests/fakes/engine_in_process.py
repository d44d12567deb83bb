"""An engine that misbehaves on request, and a worker that holds one (run as a program)."""

import asyncio
import ctypes
import os
import signal
import time
from pathlib import Path

from shared.errors import NoSpeech, StartupError
from shared.worker.engine_process import EngineProcess


class Engine:
    name = "fake"
    model = "tiny"

    def pid(self) -> int:
        return os.getpid()

    def hear_nothing(self) -> None:
        raise NoSpeech(retry_after_s=3)

    def crash(self) -> None:
        os.kill(os.getpid(), signal.SIGSEGV)

    def hang(self) -> None:
        ctypes.PyDLL(None).sleep(60)  # unlike CDLL, this keeps the interpreter's lock

    def hold_the_interpreter(self, seconds: float) -> None:
        ctypes.PyDLL(None).usleep(int(seconds * 1_000_000))

    def nap(self) -> None:
        time.sleep(60)


def load_badly() -> Engine:
    os.kill(os.getpid(), signal.SIGSEGV)
    raise AssertionError("unreachable")


def load_once(marker: Path) -> Engine:
    """Crashes for as long as the marker says so."""
    if marker.exists() and marker.read_text() == "crash":
        load_badly()
    return Engine()


def load(fail: bool = False) -> Engine:
    if fail:
        raise StartupError("Set STT_MODEL.")
    return Engine()


async def _hold() -> None:
    process = EngineProcess(load, service="test", log_level="warning")
    print(await process.run(Engine.pid, 30), flush=True)
    await process.run(Engine.nap, 60)


if __name__ == "__main__":
    asyncio.run(_hold())
