"""The product's services as processes."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from cli.local_stack.ports import LOOPBACK, free_port

#: Entry points of the benchmark's own engines: `null` and `scripted`.
_ENTRY_POINTS = Path(__file__).parents[1] / "entry_points"


@contextmanager
def running(module: str, *arguments: str, **settings: str) -> Iterator[psutil.Process]:
    """`python -m module` until the block is left, then terminated."""
    environment = dict(os.environ) | {"LOG_LEVEL": "warning"} | settings
    process = subprocess.Popen([sys.executable, "-m", module, *arguments], env=environment)
    try:
        yield psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait()


@contextmanager
def running_api(volume: Path, redis_url: str, **settings: str) -> Iterator[tuple[int, psutil.Process]]:
    """The API's port and process, once it accepts connections."""
    port = free_port()
    settings |= {"REDIS_URL": redis_url, "DATA_DIR": str(volume), "API_PORT": str(port)}
    with running("api", **settings) as process:
        wait_for_port(port)
        yield port, process


def path_with_bench_engines() -> str:
    """A PYTHONPATH on which workers find the benchmark's own engines."""
    return os.pathsep.join(filter(None, [str(_ENTRY_POINTS), os.environ.get("PYTHONPATH")]))


def wait_for_port(port: int, within_s: float = 60) -> None:
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex((LOOPBACK, port)) == 0:
                return
        time.sleep(0.02)
    raise RuntimeError(f"Nothing listens on port {port}.")
