"""Memory and CPU time of processes. The peak and the proportional size come from Linux's /proc; elsewhere only the
resident size is available."""

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import psutil

MB = 1_000_000


def cpu_s(processes: Iterable[psutil.Process]) -> float:
    """CPU seconds of the processes so far, user and system, without their children."""
    return sum(times.user + times.system for times in (process.cpu_times() for process in processes))


def with_children(processes: Iterable[psutil.Process]) -> list[psutil.Process]:
    """The processes and all their live descendants."""
    return [member for process in processes for member in (process, *process.children(recursive=True))]


def resident_mb(process: psutil.Process) -> float:
    return float(process.memory_info().rss) / MB


def reset_peak(process: psutil.Process) -> None:
    """Set the peak to the resident size of this moment."""
    with suppress(OSError):
        Path(f"/proc/{process.pid}/clear_refs").write_text("5")


def peak_mb(process: psutil.Process) -> float | None:
    """The largest resident size since `reset_peak`."""
    try:
        status = Path(f"/proc/{process.pid}/status").read_text()
    except FileNotFoundError:
        return None
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024 / MB


def proportional_mb(process: psutil.Process) -> float | None:
    """The resident size with each page divided among the processes that share it, so that sizes can be added up."""
    with suppress(psutil.AccessDenied, AttributeError):
        return float(process.memory_full_info().pss) / MB
    return None
