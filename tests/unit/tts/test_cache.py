"""The cache of synthesized segments: when one is reused, and how long it is kept."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shared.queue.messages import Claim, Outcome, WorkerInfo
from shared.storage.local import LocalStorage
from tts_worker.engine import Speech
from tts_worker.handler import TtsHandler
from tts_worker.settings import TtsSettings

#: The size of a WAV file with a second of sound and the pause behind it, as the engine below makes one.
BYTES = 44 + 2 * (16_000 + 2_400)


class Engine:
    """Stands for the engine in its process; never synthesizes the same sound twice."""

    def __init__(self) -> None:
        self.calls = 0

    async def run(self, *_: Any) -> Speech:
        self.calls += 1
        return Speech(np.full(16_000, self.calls, np.int16), 16_000)


@pytest.fixture
def engine() -> Engine:
    return Engine()


@pytest.fixture
def storage(tmp_path: Path) -> LocalStorage:
    storage = LocalStorage(tmp_path)
    storage.prepare()
    return storage


class Worker:
    """A TTS worker on the volume `tmp_path`."""

    def __init__(self, engine: Engine, storage: LocalStorage, model: str = "own", **settings: Any) -> None:
        info = WorkerInfo("tts", "mouth", model)
        self._handler = TtsHandler(engine, info, storage, TtsSettings(_env_file=None, **settings))  # type: ignore[arg-type, call-arg]

    async def synthesize(self, job: str, text: str = "Good morning.", index: int = 0, **fields: str) -> str:
        """The segment's stored name."""
        outcome = await self._handler.handle(Claim(f"tts:{job}:{index}", "token", 1, text, fields, index), _never)
        assert outcome.events[0].as_dict()["duration_s"] == 1.15
        assert outcome.part
        return outcome.part[1]


async def _never(_step: Outcome) -> None:
    raise AssertionError


def cached(volume: Path) -> int:
    """The number of cached segments."""
    return len(list((volume / "cache").iterdir()))


def files(volume: Path) -> list[Path]:
    return [path for path in volume.rglob("*") if path.is_file()]


async def test_text_is_synthesized_once(engine: Engine, storage: LocalStorage, tmp_path: Path) -> None:
    """Another job, of another worker, gets the same bytes without the engine."""
    first = await Worker(engine, storage).synthesize("a")
    second = await Worker(engine, storage).synthesize("b")
    assert engine.calls == 1
    assert first != second
    assert (tmp_path / first).read_bytes() == (tmp_path / second).read_bytes()
    assert len((tmp_path / first).read_bytes()) == BYTES


async def test_all_that_changes_the_sound_is_part_of_the_key(
    engine: Engine, storage: LocalStorage, tmp_path: Path
) -> None:
    """Text, language, voice, pace and the worker's own voice each make a difference."""
    worker = Worker(engine, storage)
    await worker.synthesize("a")
    await worker.synthesize("a", "Good evening.")
    await worker.synthesize("a", language="de")
    await worker.synthesize("a", voice="anna")
    await Worker(engine, storage, tts_speed=1.5).synthesize("a")
    await Worker(engine, storage, tts_voice="/voices/other.onnx").synthesize("a")
    await Worker(engine, storage, model="other").synthesize("a")
    assert engine.calls == cached(tmp_path) == 7


async def test_nothing_is_left_when_the_last_job_is_erased(
    engine: Engine, storage: LocalStorage, tmp_path: Path
) -> None:
    """Erasing a job takes nothing from another with the same text; erasing the last of them removes the segment."""
    worker = Worker(engine, storage)
    await worker.synthesize("a")
    kept = await worker.synthesize("b")
    storage.erase("a")
    assert (len((tmp_path / kept).read_bytes()), cached(tmp_path)) == (BYTES, 1)
    storage.erase("b")
    assert files(tmp_path) == []
    await worker.synthesize("c")
    assert engine.calls == 2


async def test_half_done_erasure_is_completed(engine: Engine, storage: LocalStorage, tmp_path: Path) -> None:
    """A cached segment that an API left when it died between two removals is pruned."""
    (tmp_path / await Worker(engine, storage).synthesize("a")).unlink()
    assert cached(tmp_path) == 1
    storage.prune_cache()
    assert cached(tmp_path) == 0


async def test_cache_is_bounded(engine: Engine, storage: LocalStorage, tmp_path: Path) -> None:
    """Beyond TTS_CACHE_MB the least recently used segment is evicted; jobs keep theirs."""
    worker = Worker(engine, storage, tts_cache_mb=2.5 * BYTES / 1e6)
    one = await worker.synthesize("a", "One.")
    two = await worker.synthesize("a", "Two.", 1)
    os.utime(tmp_path / one, (1, 1))
    os.utime(tmp_path / two, (2, 2))
    await worker.synthesize("b", "One.")
    await worker.synthesize("c", "Three.")
    assert (engine.calls, cached(tmp_path)) == (3, 2)
    await worker.synthesize("d", "One.")
    assert engine.calls == 3
    await worker.synthesize("e", "Two.")
    assert engine.calls == 4
    assert len((tmp_path / two).read_bytes()) == BYTES


async def test_segment_larger_than_the_cache_evicts_nothing(
    engine: Engine, storage: LocalStorage, tmp_path: Path
) -> None:
    """One long text must not empty the cache."""
    await Worker(engine, storage).synthesize("a", "Yes.")
    await Worker(engine, storage, tts_cache_mb=0.9 * BYTES / 1e6).synthesize("a", "A long one.", 1)
    assert cached(tmp_path) == 1


async def test_cache_can_be_turned_off(engine: Engine, storage: LocalStorage, tmp_path: Path) -> None:
    """TTS_CACHE_MB=0 neither keeps nor uses anything."""
    await Worker(engine, storage).synthesize("a")
    await Worker(engine, storage, tts_cache_mb=0).synthesize("b")
    await Worker(engine, storage, tts_cache_mb=0).synthesize("c", "Good night.")
    assert (engine.calls, cached(tmp_path)) == (3, 1)


async def test_volume_without_hard_links_still_serves(
    engine: Engine, storage: LocalStorage, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Each text is synthesized again where links are refused, or where the cache's folder was removed."""
    worker = Worker(engine, storage)
    await worker.synthesize("a")
    storage.clear_cache()
    (tmp_path / "cache").rmdir()
    storage.erase("a")
    await worker.synthesize("b")
    assert (engine.calls, cached(tmp_path)) == (2, 1)

    def refuse(*_: Any) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    await worker.synthesize("c")
    assert engine.calls == 3


async def test_clearing_leaves_other_files_alone(engine: Engine, storage: LocalStorage, tmp_path: Path) -> None:
    """A worker that starts takes no segment from a job, and no file that another process is writing."""
    kept = await Worker(engine, storage).synthesize("a")
    probe = tmp_path / "cache" / ".probe.part"
    probe.touch()
    storage.clear_cache()
    assert [path.name for path in probe.parent.iterdir()] == [probe.name]
    assert (tmp_path / kept).exists()
