"""A Redis of the benchmark's own: on a free port, with its append-only file on, as in the product."""

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from cli.local_stack.redis_server import find_redis


@dataclass(frozen=True)
class RunningRedis:
    url: str
    process: psutil.Process


@contextmanager
def running_redis(directory: Path) -> Iterator[RunningRedis]:
    port = free_port()
    options = f"--bind 127.0.0.1 --port {port} --dir {directory} --appendonly yes --appendfsync everysec"
    command = [find_redis().path, *options.split(), "--save", "", "--loglevel", "warning"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        wait_for_port(port)
        yield RunningRedis(f"redis://127.0.0.1:{port}/0", psutil.Process(process.pid))
    finally:
        process.terminate()
        process.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for_port(port: int, within_s: float = 60) -> None:
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise RuntimeError(f"Nothing listens on port {port}.")
