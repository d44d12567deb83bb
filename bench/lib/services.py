"""The product's services as processes."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from bench.lib.redis_server import free_port, wait_for_port


@contextmanager
def running(module: str, *arguments: str, **settings: str) -> Iterator[psutil.Process]:
    """`python -m module`, told to stop when it is left."""
    environment = dict(os.environ) | {"LOG_LEVEL": "warning"} | settings
    process = subprocess.Popen([sys.executable, "-m", module, *arguments], env=environment)
    try:
        yield psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait()


@contextmanager
def running_api(volume: Path, redis_url: str, **settings: str) -> Iterator[tuple[int, psutil.Process]]:
    """Its port, and its process."""
    port = free_port()
    settings |= {"REDIS_URL": redis_url, "DATA_DIR": str(volume), "API_PORT": str(port)}
    with running("api", **settings) as process:
        wait_for_port(port)
        yield port, process
