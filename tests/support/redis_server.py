"""A real Redis server for tests: started on a free port, killed and started again at will."""

import shutil
import socket
import subprocess
import time
from pathlib import Path

from cli.local_stack.redis_server import carried_redis


def redis_binaries() -> dict[str, str]:
    """The servers to be had here: the one on the PATH, and the older one that the demonstration falls back to."""
    found = {"path": shutil.which("redis-server"), "carried": carried_redis()}
    return {name: path for name, path in found.items() if path}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class RedisServer:
    """With its append-only file on, as in the product."""

    def __init__(self, binary: str, directory: Path, *, appendfsync: str = "everysec") -> None:
        self._binary, self._directory, self._appendfsync = binary, directory, appendfsync
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        options = {
            "bind": "127.0.0.1",
            "port": str(self.port),
            "dir": str(self._directory),
            "appendonly": "yes",
            "appendfsync": self._appendfsync,
            "save": "",
            "loglevel": "warning",
        }
        arguments = [word for name, value in options.items() for word in (f"--{name}", value)]
        self._process = subprocess.Popen([self._binary, *arguments], stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    probe.sendall(b"PING\r\n")
                    if probe.recv(64).startswith(b"+PONG"):
                        return
            time.sleep(0.02)
        raise RuntimeError("Redis did not start.")

    def kill(self) -> None:
        """As `kill -9` does."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()
