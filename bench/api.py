"""The real API in a process of its own."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from bench.redis_server import free_port, wait_for_port


@contextmanager
def running_api(volume: Path, redis_url: str, **settings: str) -> Iterator[tuple[int, psutil.Process]]:
    """Its port, and its process."""
    port = free_port()
    settings |= {"REDIS_URL": redis_url, "DATA_DIR": str(volume), "API_PORT": str(port), "LOG_LEVEL": "warning"}
    process = subprocess.Popen([sys.executable, "-m", "api"], env=dict(os.environ) | settings)
    try:
        wait_for_port(port)
        yield port, psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait()
