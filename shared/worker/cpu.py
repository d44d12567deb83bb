"""The number of CPUs that this process may use."""

import os
from pathlib import Path


def available_cpus(cgroup: Path = Path("/sys/fs/cgroup")) -> int:
    """Return the whole CPUs within the container's limit; at least 1.

    `os.cpu_count` counts those of the host: a container limited to 2 of 64 CPUs would start 64 threads that wait for
    each other at every barrier. A fraction is rounded down for the same reason.
    """
    # Not every system can pin a process to CPUs; then the host's number is the limit.
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota, period = _quota(cgroup)
    return max(1, min(usable, quota // period)) if quota > 0 and period > 0 else usable


def _quota(cgroup: Path) -> tuple[int, int]:
    """Return the CPU time allowed in each period and the period, in microseconds; (0, 0) without a limit."""
    try:
        if (v2 := cgroup / "cpu.max").exists():
            quota, period = v2.read_text().split()
        else:
            quota = (cgroup / "cpu" / "cpu.cfs_quota_us").read_text()
            period = (cgroup / "cpu" / "cpu.cfs_period_us").read_text()
        return int(quota), int(period)
    except (OSError, ValueError):  # no such file on this system, or the word "max"
        return 0, 0
