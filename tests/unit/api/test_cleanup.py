"""Housekeeping: what is past its time goes, files and hashes together, and nothing else does."""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx
import pytest

from api.jobs import cleanup as housekeeping
from shared.background import cancel_all
from shared.queue.messages import Claim
from shared.queue.queue import Queue
from shared.queue.stages import Stage
from shared.storage.local import Storage

Send = Callable[..., Awaitable[httpx.Response]]
Files = Callable[[], list[str]]
Complete = Callable[[str], Awaitable[None]]


@pytest.fixture
def storage(volume: Path) -> Storage:
    storage = Storage(volume)
    storage.prepare()
    return storage


@pytest.fixture
async def job_id(upload: Send) -> str:
    return str((await upload()).json()["job_id"])


def write_segment(volume: Path, job_id: str) -> None:
    """As a worker does that has spoken a sentence."""
    (volume / "work" / job_id).mkdir()
    (volume / "work" / job_id / "0000-token.wav").write_bytes(b"x")


def age(volume: Path) -> None:
    """Makes everything on the volume two hours old."""
    then = time.time() - 7200
    for folder, _, names in os.walk(volume, topdown=False):
        for name in names:
            os.utime(Path(folder, name), (then, then))
        os.utime(folder, (then, then))


async def test_a_job_past_its_time_is_erased(
    client: httpx.AsyncClient, job_id: str, complete: Complete, fake_queue: Queue, storage: Storage, files: Files
) -> None:
    """Recording, answer and hash go together."""
    await complete(job_id)
    assert len(files()) == 2
    assert await housekeeping.expire_jobs(fake_queue, storage, retention_s=-2) == 1
    assert files() == []
    assert (await client.get(f"/status/{job_id}")).status_code == 404


async def test_a_job_within_its_time_stays(
    client: httpx.AsyncClient, job_id: str, complete: Complete, fake_queue: Queue, storage: Storage, files: Files
) -> None:
    """The retention time is kept."""
    await complete(job_id)
    assert await housekeeping.expire_jobs(fake_queue, storage, retention_s=60) == 0
    assert len(files()) == 2
    assert (await client.get(f"/audio/{job_id}")).status_code == 200


async def test_a_live_job_never_expires(
    client: httpx.AsyncClient, job_id: str, fake_queue: Queue, storage: Storage, files: Files
) -> None:
    """Retention counts from the end of a job, not from its beginning."""
    assert await housekeeping.expire_jobs(fake_queue, storage, retention_s=-2) == 0
    assert files() == [f"input/{job_id}"]


async def test_files_without_a_job_are_removed(volume: Path, fake_queue: Queue, storage: Storage, files: Files) -> None:
    """What a killed process or a lost Redis left behind does not fill the volume."""
    (volume / "input" / ("a" * 32)).write_bytes(b"x")
    (volume / "output" / ("b" * 32 + "_response.wav")).write_bytes(b"x")
    write_segment(volume, "c" * 32)
    await housekeeping.remove_strays(fake_queue, storage)
    assert len(files()) == 3, "files are left alone while they are young"
    age(volume)
    await housekeeping.remove_strays(fake_queue, storage)
    assert files() == []


async def test_files_of_a_live_job_stay(
    job_id: str, volume: Path, fake_queue: Queue, storage: Storage, files: Files
) -> None:
    """A job may wait for hours: its recording and its segments are never strays."""
    write_segment(volume, job_id)
    age(volume)
    await housekeeping.remove_strays(fake_queue, storage)
    assert files() == [f"input/{job_id}", f"work/{job_id}/0000-token.wav"]


async def test_an_answered_job_loses_only_its_segments(
    job_id: str, complete: Complete, volume: Path, fake_queue: Queue, storage: Storage, files: Files
) -> None:
    """Once the answer is whole its pieces are not needed."""
    await complete(job_id)
    write_segment(volume, job_id)
    age(volume)
    await housekeeping.remove_strays(fake_queue, storage)
    assert files() == [f"input/{job_id}", f"output/{job_id}_response.wav"]


async def test_a_failed_job_keeps_what_it_would_need_again(
    job_id: str,
    claim: Callable[[Stage], Awaitable[Claim]],
    volume: Path,
    fake_queue: Queue,
    storage: Storage,
    files: Files,
) -> None:
    """It may be tried again from where it failed, so its segments stay as long as it does."""
    await fake_queue.dead_letter("worker", await claim("stt"), "engine_failed", "It broke.")
    write_segment(volume, job_id)
    age(volume)
    await housekeeping.remove_strays(fake_queue, storage)
    assert files() == [f"input/{job_id}", f"work/{job_id}/0000-token.wav"]


async def test_what_was_just_cancelled_is_erased_once_more(
    client: httpx.AsyncClient, job_id: str, volume: Path, fake_queue: Queue, storage: Storage, files: Files
) -> None:
    """What a worker writes a moment too late is gone within a minute, not within an hour."""
    await client.delete(f"/jobs/{job_id}")
    write_segment(volume, job_id)
    await housekeeping.erase_cancelled(fake_queue, storage)
    assert files() == []


async def test_only_what_was_cancelled_is_erased_once_more(
    job_id: str, complete: Complete, fake_queue: Queue, storage: Storage, files: Files
) -> None:
    """A job that has just completed keeps its files."""
    await complete(job_id)
    await housekeeping.erase_cancelled(fake_queue, storage)
    assert len(files()) == 2


async def test_what_a_worker_wrote_after_a_cancellation_is_removed(
    client: httpx.AsyncClient, job_id: str, volume: Path, fake_queue: Queue, storage: Storage, files: Files
) -> None:
    """A worker that did not hear of it in time may still write; nothing of a cancelled job stays."""
    await client.delete(f"/jobs/{job_id}")
    write_segment(volume, job_id)
    age(volume)
    await housekeeping.remove_strays(fake_queue, storage)
    assert files() == []


async def test_a_damaged_job_does_not_keep_the_strays_of_others(
    job_id: str, volume: Path, fake_queue: Queue, storage: Storage, files: Files
) -> None:
    """What cannot be read is passed over, with its files, and the sweep goes on."""
    await fake_queue.redis.ask("hset", f"cascade:job:{job_id}", "created_at", "yesterday")
    (volume / "input" / ("f" * 32)).write_bytes(b"x")
    (volume / "input" / ("0" * 32)).write_bytes(b"x")
    age(volume)
    await housekeeping.remove_strays(fake_queue, storage)
    assert files() == [f"input/{job_id}"]


async def test_half_written_files_are_removed(volume: Path, storage: Storage, files: Files) -> None:
    """Temporary files of a killed process go once they are old; those being written stay."""
    for folder in ("input", "output", "work/" + "a" * 32):
        (volume / folder).mkdir(exist_ok=True)
        (volume / folder / ".x-1.part").write_bytes(b"x")
    age(volume)
    (volume / "input" / ".x-2.part").write_bytes(b"x")
    storage.drop_partial(older_than_s=3600)
    assert files() == ["input/.x-2.part"]


async def test_shared_sound_goes_with_its_last_job(fake_queue: Queue, storage: Storage, files: Files) -> None:
    """What an API that died while it erased a job has left of it for other jobs goes with the next round."""
    segment = storage.write_segment("a" * 32, 0, "token", b"x")
    storage.share_segment(segment, "key", 1_000)
    await housekeeping.remove_strays(fake_queue, storage)
    assert "cache/key" in files()
    storage.absolute(segment).unlink()
    await housekeeping.remove_strays(fake_queue, storage)
    assert files() == []


async def test_the_sweeps_do_not_stop_for_one_another(
    fake_queue: Queue, storage: Storage, monkeypatch: pytest.MonkeyPatch, logs: list[dict[str, object]]
) -> None:
    """A volume that cannot be swept does not keep lost tasks from being found, round after round."""
    rounds = asyncio.Queue[None]()

    async def audit() -> list[str]:
        rounds.put_nowait(None)
        return []

    def unreadable(_older_than_s: float) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(fake_queue, "audit", audit)
    monkeypatch.setattr(storage, "drop_partial", unreadable)
    monkeypatch.setattr(housekeeping, "_EVERY_S", 0.01)
    sweeping = asyncio.create_task(housekeeping.run_cleanup(fake_queue, storage, 3600))
    async with asyncio.timeout(5):
        for _ in range(3):
            await rounds.get()
    await cancel_all([sweeping])
    assert logs[0]["event"] == "housekeeping_failed"
