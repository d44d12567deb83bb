"""A Redis process on a free port, for benchmarks and tests."""

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from cli.local_stack.ports import LOOPBACK, free_port
from cli.local_stack.redis_server import find_redis

_READY_WITHIN_S = 20


class RedisServer:
    """A Redis process with its append-only file on, as in the product. It can be killed and started again."""

    def __init__(self, binary: str, directory: Path, *, appendfsync: str = "everysec") -> None:
        self._binary = binary
        self._directory = directory
        self._appendfsync = appendfsync
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://{LOOPBACK}:{self.port}/0"

    @property
    def process(self) -> psutil.Process:
        return psutil.Process(self._running().pid)

    def start(self) -> None:
        """Start the server and wait until it answers."""
        options = {
            "bind": LOOPBACK,
            "port": str(self.port),
            "dir": str(self._directory),
            "appendonly": "yes",
            "appendfsync": self._appendfsync,
            "save": "",
            "loglevel": "warning",
        }
        arguments = [word for name, value in options.items() for word in (f"--{name}", value)]
        self._process = subprocess.Popen([self._binary, *arguments], stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + _READY_WITHIN_S
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex((LOOPBACK, self.port)) == 0:
                    probe.sendall(b"PING\r\n")
                    if probe.recv(64).startswith(b"+PONG"):
                        return
            time.sleep(0.02)
        raise RuntimeError("Redis did not start.")

    def stop(self) -> None:
        """Let the server write its files and exit."""
        self._running().terminate()
        self._running().wait()

    def kill(self) -> None:
        """End the server as `kill -9` does."""
        self._running().kill()
        self._running().wait()

    def _running(self) -> subprocess.Popen[bytes]:
        assert self._process is not None
        return self._process


@contextmanager
def running_redis(directory: Path) -> Iterator[RedisServer]:
    """A server in `directory`, of the binary that `cascade up` would start."""
    server = RedisServer(find_redis().path, directory)
    try:
        server.start()
        yield server
    finally:
        server.stop()
