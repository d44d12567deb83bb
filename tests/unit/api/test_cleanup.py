"""Periodic cleanup: erases expired jobs with their files, and files without a job, and nothing else."""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx
import pytest

from api.jobs import cleanup
from shared.background import cancel_all
from shared.queue.messages import Claim
from shared.queue.queue import Queue
from shared.queue.stages import Stage
from shared.storage.local import LocalStorage
from shared.storage.storage import Storage

Send = Callable[..., Awaitable[httpx.Response]]
Files = Callable[[], list[str]]
Complete = Callable[[str], Awaitable[None]]


@pytest.fixture
def storage(volume: Path) -> Storage:
    storage = LocalStorage(volume)
    storage.prepare()
    return storage


@pytest.fixture
async def job_id(upload: Send) -> str:
    return str((await upload()).json()["job_id"])


def write_segment(volume: Path, job_id: str) -> None:
    """Write a segment as a TTS worker does."""
    (volume / "work" / job_id).mkdir()
    (volume / "work" / job_id / "0000-token.wav").write_bytes(b"x")


def age(volume: Path) -> None:
    """Make everything on the volume two hours old."""
    two_hours_ago = time.time() - 7200
    for folder, _, names in os.walk(volume, topdown=False):
        for name in names:
            os.utime(Path(folder, name), (two_hours_ago, two_hours_ago))
        os.utime(folder, (two_hours_ago, two_hours_ago))


async def test_an_expired_job_is_erased(
    client: httpx.AsyncClient, job_id: str, complete: Complete, fake_queue: Queue, storage: Storage, files: Files
) -> None:
    """An expired job's recording, answer and hash are erased together."""
    await complete(job_id)
    assert len(files()) == 2
    assert await cleanup.expire_jobs(fake_queue, storage, retention_s=-2) == 1
    assert files() == []
    assert (await client.get(f"/status/{job_id}")).status_code == 404


async def test_a_job_within_its_retention_time_stays(
    client: httpx.AsyncClient, job_id: str, complete: Complete, fake_queue: Queue, storage: Storage, files: Files
) -> None:
    """A job that ended within the retention time keeps its files and its audio."""
    await complete(job_id)
    assert await cleanup.expire_jobs(fake_queue, storage, retention_s=60) == 0
    assert len(files()) == 2
    assert (await client.get(f"/audio/{job_id}")).status_code == 200


async def test_a_live_job_never_expires(
    client: httpx.AsyncClient, job_id: str, fake_queue: Queue, storage: Storage, files: Files
) -> None:
    """A live job keeps its recording, since retention counts from a job's end, not from its beginning."""
    assert await cleanup.expire_jobs(fake_queue, storage, retention_s=-2) == 0
    assert files() == [f"input/{job_id}"]


async def test_files_without_a_job_are_removed(volume: Path, fake_queue: Queue, storage: Storage, files: Files) -> None:
    """Files whose job a killed process or a lost Redis has left behind are removed once they are old."""
    (volume / "input" / ("a" * 32)).write_bytes(b"x")
    (volume / "output" / ("b" * 32 + "_response.wav")).write_bytes(b"x")
    write_segment(volume, "c" * 32)
    await cleanup.remove_strays(fake_queue, storage)
    assert len(files()) == 3, "recent files are left alone"
    age(volume)
    await cleanup.remove_strays(fake_queue, storage)
    assert files() == []


async def test_files_of_a_live_job_stay(
    job_id: str, volume: Path, fake_queue: Queue, storage: Storage, files: Files
) -> None:
    """Old files of a live job stay, since a job may wait for hours."""
    write_segment(volume, job_id)
    age(volume)
    await cleanup.remove_strays(fake_queue, storage)
    assert files() == [f"input/{job_id}", f"work/{job_id}/0000-token.wav"]


async def test_a_completed_job_loses_only_its_segments(
    job_id: str, complete: Complete, volume: Path, fake_queue: Queue, storage: Storage, files: Files
) -> None:
    """A completed job keeps its recording and its answer, and its segments are removed."""
    await complete(job_id)
    write_segment(volume, job_id)
    age(volume)
    await cleanup.remove_strays(fake_queue, storage)
    assert files() == [f"input/{job_id}", f"output/{job_id}_response.wav"]


async def test_a_failed_job_keeps_what_a_retry_needs(
    job_id: str,
    claim: Callable[[Stage], Awaitable[Claim]],
    volume: Path,
    fake_queue: Queue,
    storage: Storage,
    files: Files,
) -> None:
    """A failed job keeps its recording and its segments, since it may be retried from where it failed."""
    await fake_queue.dead_letter("worker", await claim("stt"), "engine_failed", "It broke.")
    write_segment(volume, job_id)
    age(volume)
    await cleanup.remove_strays(fake_queue, storage)
    assert files() == [f"input/{job_id}", f"work/{job_id}/0000-token.wav"]


async def test_the_files_of_a_cancelled_job_are_erased_again(
    client: httpx.AsyncClient, job_id: str, volume: Path, fake_queue: Queue, storage: Storage, files: Files
) -> None:
    """A file that a worker writes just after a cancellation is erased within a minute, not within an hour."""
    await client.delete(f"/jobs/{job_id}")
    write_segment(volume, job_id)
    await cleanup.erase_cancelled(fake_queue, storage)
    assert files() == []


async def test_only_cancelled_jobs_are_erased_again(
    job_id: str, complete: Complete, fake_queue: Queue, storage: Storage, files: Files
) -> None:
    """A job that has just completed keeps its files."""
    await complete(job_id)
    await cleanup.erase_cancelled(fake_queue, storage)
    assert len(files()) == 2


async def test_old_files_of_a_cancelled_job_are_removed(
    client: httpx.AsyncClient, job_id: str, volume: Path, fake_queue: Queue, storage: Storage, files: Files
) -> None:
    """An old file of a cancelled job, from a worker that learned of the cancellation too late, is removed."""
    await client.delete(f"/jobs/{job_id}")
    write_segment(volume, job_id)
    age(volume)
    await cleanup.remove_strays(fake_queue, storage)
    assert files() == []


async def test_a_damaged_job_does_not_stop_the_sweep(
    job_id: str, volume: Path, fake_queue: Queue, storage: Storage, files: Files
) -> None:
    """A job whose hash cannot be read is skipped with its files, and the sweep removes other jobs' strays."""
    await fake_queue.client.command("hset", f"cascade:job:{job_id}", "created_at", "yesterday")
    (volume / "input" / ("f" * 32)).write_bytes(b"x")
    (volume / "input" / ("0" * 32)).write_bytes(b"x")
    age(volume)
    await cleanup.remove_strays(fake_queue, storage)
    assert files() == [f"input/{job_id}"]


async def test_partial_files_are_removed(volume: Path, storage: Storage, files: Files) -> None:
    """Partial files of a killed process are removed once they are old, and recent ones stay."""
    for folder in ("input", "output", "work/" + "a" * 32):
        (volume / folder).mkdir(exist_ok=True)
        (volume / folder / ".x-1.part").write_bytes(b"x")
    age(volume)
    (volume / "input" / ".x-2.part").write_bytes(b"x")
    storage.remove_partial_files(older_than_s=3600)
    assert files() == ["input/.x-2.part"]


async def test_cached_speech_is_removed_with_its_last_segment(
    volume: Path, fake_queue: Queue, storage: Storage, files: Files
) -> None:
    """A cached segment that no job uses any more, because the API died while erasing one, is removed by the next
    sweep."""
    segment = storage.write_segment("a" * 32, 0, "token", b"x")
    storage.cache_segment(segment, "key", 1_000)
    await cleanup.remove_strays(fake_queue, storage)
    assert "cache/key" in files()
    (volume / segment).unlink()
    await cleanup.remove_strays(fake_queue, storage)
    assert files() == []


async def test_a_failing_sweep_does_not_stop_the_others(
    fake_queue: Queue, storage: Storage, monkeypatch: pytest.MonkeyPatch, logs: list[dict[str, object]]
) -> None:
    """The audit of lost tasks runs round after round although the volume cannot be swept."""
    rounds = asyncio.Queue[None]()

    async def audit() -> list[str]:
        rounds.put_nowait(None)
        return []

    def fail(_older_than_s: float) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(fake_queue, "audit", audit)
    monkeypatch.setattr(storage, "remove_partial_files", fail)
    monkeypatch.setattr(cleanup, "_INTERVAL_S", 0.01)
    sweeping = asyncio.create_task(cleanup.run_cleanup(fake_queue, storage, 3600))
    async with asyncio.timeout(5):
        for _ in range(3):
            await rounds.get()
    await cancel_all([sweeping])
    assert logs[0]["event"] == "cleanup_failed"
