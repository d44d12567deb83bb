"""A large upload to the real API process over loopback, next to `cp` and fsync of the same file on the same disk."""

import argparse
import os
import subprocess
import sys
import tempfile
import time
import wave
from pathlib import Path
from statistics import median

import psutil
from rich.progress import track

from bench.lib.processes import MB, peak_mb, reset_peak, resident_mb
from bench.lib.redis_server import running_redis
from bench.lib.services import running_api
from bench.lib.table import print_table

SIZES_MB = (1, 25, 100)


def measure_upload(arguments: argparse.Namespace) -> None:
    # In the working directory, since /tmp may be another disk or a RAM disk.
    with tempfile.TemporaryDirectory(prefix=".bench-", dir=Path.cwd()) as directory:
        root = Path(directory)
        files = {size: _recording(root / f"{size}.wav", size) for size in SIZES_MB}
        limit = {"MAX_UPLOAD_MB": str(SIZES_MB[-1] + 1)}
        with running_redis(root) as redis, running_api(root / "volume", redis.url, **limit) as (port, api):
            _upload(port, files[1])  # the first upload triggers all lazy loading
            memory = [_memory(api, port, size, files[size]) for size in SIZES_MB]
            largest = files[SIZES_MB[-1]]
            times = []
            for _ in track(range(arguments.rounds), "upload", transient=True):
                times.append((_copy(largest, root / "copy"), _upload(port, largest)))
    _print(times, memory)


def _recording(path: Path, size_mb: int) -> Path:
    """Write a WAV file of noise."""
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        for _ in range(size_mb):
            file.writeframes(os.urandom(MB))
    return path


def _upload(port: int, path: Path) -> float:
    """Seconds, measured by a client in a separate process."""
    command = [sys.executable, "-m", "bench.lib.send_file", str(port), str(path)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def _copy(source: Path, target: Path) -> float:
    started = time.perf_counter()
    subprocess.run(["cp", source, target], check=True)
    with target.open("rb") as file:
        os.fsync(file.fileno())
    elapsed = time.perf_counter() - started
    target.unlink()
    return elapsed


def _memory(api: psutil.Process, port: int, size_mb: int, path: Path) -> list[str]:
    before = resident_mb(api)
    reset_peak(api)
    _upload(port, path)
    peak = peak_mb(api)
    return [
        f"{size_mb} MB",
        f"{before:.1f}",
        "?" if peak is None else f"{peak:.1f}",
        f"{resident_mb(api):.1f}",
        "?" if peak is None else f"{peak - before:.1f}",
    ]


def _print(times: list[tuple[float, float]], memory: list[list[str]]) -> None:
    size = SIZES_MB[-1]
    copied, uploaded = (median(column) for column in zip(*times, strict=True))
    ratio = median(upload / copy for copy, upload in times)
    rows = [
        ["cp + fsync", f"{copied:.2f}", f"{size / copied:.0f}", "1.00 x"],
        ["upload", f"{uploaded:.2f}", f"{size / uploaded:.0f}", f"{ratio:.2f} x"],
    ]
    print_table(f"Upload of {size} MB (median of {len(times)} rounds)", ["", "s", "MB/s", "s to cp"], rows)
    heads = ["upload", "before", "peak", "after", "peak over before"]
    print_table("The API's resident memory, MB", heads, memory)
