"""What a process takes of memory. Linux tells it in /proc; elsewhere only the resident size is known."""

from contextlib import suppress
from pathlib import Path

import psutil

MB = 1_000_000


def resident_mb(process: psutil.Process) -> float:
    return float(process.memory_info().rss) / MB


def forget_peak(process: psutil.Process) -> None:
    """Let the peak begin at what is resident now."""
    with suppress(OSError):
        Path(f"/proc/{process.pid}/clear_refs").write_text("5")


def peak_mb(process: psutil.Process) -> float | None:
    """The most that was resident since `forget_peak`."""
    try:
        status = Path(f"/proc/{process.pid}/status").read_text()
    except FileNotFoundError:
        return None
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024 / MB


def shared_out_mb(process: psutil.Process) -> float | None:
    """Resident, with each page divided among the processes that share it: these can be added up."""
    with suppress(psutil.AccessDenied, AttributeError):
        return float(process.memory_full_info().pss) / MB
    return None
