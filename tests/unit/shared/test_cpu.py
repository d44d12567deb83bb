"""The number of threads follows the container's limit."""

import os
from pathlib import Path

import pytest

from shared.worker.cpu import available_cpus


@pytest.fixture(autouse=True)
def _sixteen_cpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(16)))


def v2(cgroup: Path, content: str) -> None:
    (cgroup / "cpu.max").write_text(content)


def v1(cgroup: Path, quota: int) -> None:
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
def test_the_limit_of_a_new_container_is_kept(tmp_path: Path, content: str, cpus: int) -> None:
    """Whole CPUs of cgroup v2's quota, at least one and no more than the process may run on."""
    v2(tmp_path, content)
    assert available_cpus(tmp_path) == cpus


@pytest.mark.parametrize(("quota", "cpus"), [(200_000, 2), (-1, 16), (10_000, 1)])
def test_the_limit_of_an_old_container_is_kept(tmp_path: Path, quota: int, cpus: int) -> None:
    """The same for cgroup v1, where -1 is no limit."""
    v1(tmp_path, quota)
    assert available_cpus(tmp_path) == cpus


def test_without_a_container_the_process_may_use_what_it_is_pinned_to(tmp_path: Path) -> None:
    """No cgroup, as on a Mac, is no limit."""
    assert available_cpus(tmp_path) == 16


def test_a_system_that_cannot_pin_counts_its_cpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no affinity, the number of CPUs is the bound."""
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    assert available_cpus(tmp_path) == 4
