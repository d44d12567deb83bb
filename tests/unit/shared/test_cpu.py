"""The number of CPUs within a container's limit."""

import os
from pathlib import Path

import pytest

from shared.worker.cpu import available_cpus


@pytest.fixture(autouse=True)
def _sixteen_cpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(16)))


def write_cgroup_v2(cgroup: Path, content: str) -> None:
    (cgroup / "cpu.max").write_text(content)


def write_cgroup_v1(cgroup: Path, quota: int) -> None:
    (cgroup / "cpu").mkdir()
    (cgroup / "cpu" / "cpu.cfs_quota_us").write_text(f"{quota}\n")
    (cgroup / "cpu" / "cpu.cfs_period_us").write_text("100000\n")


@pytest.mark.parametrize(
    ("content", "cpus"),
    [
        ("200000 100000\n", 2),
        ("max 100000\n", 16),
        ("350000 100000\n", 3),
        ("50000 100000\n", 1),
        ("6400000 100000", 16),
    ],
)
def test_cgroup_v2_limit(tmp_path: Path, content: str, cpus: int) -> None:
    """A cgroup v2 quota gives whole CPUs, at least one and at most those of the process's affinity."""
    write_cgroup_v2(tmp_path, content)
    assert available_cpus(tmp_path) == cpus


@pytest.mark.parametrize(("quota", "cpus"), [(200_000, 2), (-1, 16), (10_000, 1)])
def test_cgroup_v1_limit(tmp_path: Path, quota: int, cpus: int) -> None:
    """A cgroup v1 quota gives whole CPUs, at least one; -1 is no limit."""
    write_cgroup_v1(tmp_path, quota)
    assert available_cpus(tmp_path) == cpus


def test_process_without_a_cgroup_may_use_its_affinity(tmp_path: Path) -> None:
    """Without a cgroup, as on a Mac, the process's affinity is the only limit."""
    assert available_cpus(tmp_path) == 16


def test_system_without_affinity_counts_its_cpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an affinity call, the number of CPUs is the limit."""
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    assert available_cpus(tmp_path) == 4
