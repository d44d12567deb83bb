"""What was spoken already is not spoken again, and is kept no longer than a job that has it."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shared.queue.messages import Claim, Outcome, WorkerInfo
from shared.storage.local import Storage
from tts_worker.engine import Speech
from tts_worker.handler import TtsHandler
from tts_worker.settings import TtsSettings

#: A second of what the engine below says, as a file.
BYTES = 44 + 2 * (16_000 + 2_400)


class Engine:
    """Stands for the engine in its process; never says the same twice."""

    def __init__(self) -> None:
        self.said = 0

    async def run(self, *_: Any) -> Speech:
        self.said += 1
        return Speech(np.full(16_000, self.said, np.int16), 16_000)


@pytest.fixture
def engine() -> Engine:
    return Engine()


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    storage = Storage(tmp_path)
    storage.prepare()
    return storage


class Worker:
    def __init__(self, engine: Engine, storage: Storage, model: str = "own", **settings: Any) -> None:
        info = WorkerInfo("tts", "mouth", model)
        self._handler = TtsHandler(engine, info, storage, TtsSettings(_env_file=None, **settings))  # type: ignore[arg-type, call-arg]
        self._storage = storage

    async def speak(self, job: str, text: str = "Good morning.", index: int = 0, **fields: str) -> Path:
        outcome = await self._handler.handle(Claim(f"tts:{job}:{index}", "token", 1, text, fields, index), _never)
        assert outcome.events[0].as_dict()["duration_s"] == 1.15
        assert outcome.part
        return self._storage.absolute(outcome.part[1])


async def _never(_step: Outcome) -> None:
    raise AssertionError


def shared(storage: Storage) -> int:
    return len(list(storage.absolute("cache").iterdir()))


def files(volume: Path) -> list[Path]:
    return [path for path in volume.rglob("*") if path.is_file()]


async def test_a_text_is_spoken_once(engine: Engine, storage: Storage) -> None:
    """Another job, of another worker, gets the same bytes without the engine."""
    first = await Worker(engine, storage).speak("a")
    second = await Worker(engine, storage).speak("b")
    assert engine.said == 1
    assert first != second
    assert first.read_bytes() == second.read_bytes()
    assert len(first.read_bytes()) == BYTES


async def test_what_would_sound_otherwise_is_spoken(engine: Engine, storage: Storage) -> None:
    """Text, language, voice, pace and the worker's own voice each make a difference."""
    worker = Worker(engine, storage)
    await worker.speak("a")
    await worker.speak("a", "Good evening.")
    await worker.speak("a", language="de")
    await worker.speak("a", voice="anna")
    await Worker(engine, storage, tts_speed=1.5).speak("a")
    await Worker(engine, storage, tts_voice="/voices/other.onnx").speak("a")
    await Worker(engine, storage, model="other").speak("a")
    assert engine.said == shared(storage) == 7


async def test_nothing_is_left_when_its_last_job_is_erased(engine: Engine, storage: Storage, tmp_path: Path) -> None:
    """Erasing a job takes nothing from another that says the same; with the last of them the sound is gone."""
    worker = Worker(engine, storage)
    await worker.speak("a")
    kept = await worker.speak("b")
    storage.erase("a")
    assert (len(kept.read_bytes()), shared(storage)) == (BYTES, 1)
    storage.erase("b")
    assert files(tmp_path) == []
    await worker.speak("c")
    assert engine.said == 2


async def test_what_an_erasure_left_half_done_is_swept(engine: Engine, storage: Storage) -> None:
    """An API that died between the two leaves nothing for long."""
    (await Worker(engine, storage).speak("a")).unlink()
    assert shared(storage) == 1
    storage.prune_cache()
    assert shared(storage) == 0


async def test_the_cache_is_bounded(engine: Engine, storage: Storage) -> None:
    """Beyond TTS_CACHE_MB, what nobody used for longest goes; jobs keep what is theirs."""
    worker = Worker(engine, storage, tts_cache_mb=2.5 * BYTES / 1e6)
    one, two = await worker.speak("a", "One."), await worker.speak("a", "Two.", 1)
    os.utime(one, (1, 1))
    os.utime(two, (2, 2))
    await worker.speak("b", "One.")
    await worker.speak("c", "Three.")
    assert (engine.said, shared(storage)) == (3, 2)
    await worker.speak("d", "One.")
    assert engine.said == 3
    await worker.speak("e", "Two.")
    assert engine.said == 4
    assert len(two.read_bytes()) == BYTES


async def test_a_piece_that_is_larger_than_all_room_pushes_nobody_out(engine: Engine, storage: Storage) -> None:
    """One long text must not empty the cache."""
    await Worker(engine, storage).speak("a", "Yes.")
    await Worker(engine, storage, tts_cache_mb=0.9 * BYTES / 1e6).speak("a", "A long one.", 1)
    assert shared(storage) == 1


async def test_it_can_be_turned_off(engine: Engine, storage: Storage) -> None:
    """TTS_CACHE_MB=0 neither keeps nor uses anything."""
    await Worker(engine, storage).speak("a")
    await Worker(engine, storage, tts_cache_mb=0).speak("b")
    await Worker(engine, storage, tts_cache_mb=0).speak("c", "Good night.")
    assert (engine.said, shared(storage)) == (3, 1)


async def test_a_volume_that_cannot_share_still_speaks(
    engine: Engine, storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without hard links each text is spoken anew, and so it is where somebody has removed the folder."""
    worker = Worker(engine, storage)
    await worker.speak("a")
    storage.clear_cache()
    storage.absolute("cache").rmdir()
    storage.erase("a")
    await worker.speak("b")
    assert (engine.said, shared(storage)) == (2, 1)

    def refuse(*_: Any) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    await worker.speak("c")
    assert engine.said == 3


async def test_emptying_leaves_others_alone(engine: Engine, storage: Storage) -> None:
    """A worker that starts takes no segment from a job, and no file from somebody who is just writing one."""
    kept = await Worker(engine, storage).speak("a")
    probe = storage.absolute("cache") / ".probe.part"
    probe.touch()
    storage.clear_cache()
    assert [path.name for path in probe.parent.iterdir()] == [probe.name]
    assert kept.exists()
