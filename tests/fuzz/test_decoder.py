"""Damaged recordings, decoded in the engine's child process."""

import os
from collections import Counter
from collections.abc import AsyncIterator
from itertools import islice
from pathlib import Path

import pytest

from fuzz.mutations import mutants, seeds
from fuzz.watched_recognizer import MAX_AUDIO_S, WatchedRecognizer, load
from shared.errors import CascadeError
from shared.worker.engine_process import EngineProcess

#: `FUZZ_FILES=20000 FUZZ_SEED=7 pytest tests/fuzz/test_decoder.py` tries more files, and others.
FILES = int(os.environ.get("FUZZ_FILES", "1000"))
SEED = int(os.environ.get("FUZZ_SEED", "1"))

CODES = {"undecodable_audio", "empty_audio", "audio_too_long"}


@pytest.fixture
async def process() -> AsyncIterator[EngineProcess[WatchedRecognizer]]:
    process = EngineProcess(load, service="test", log_level="warning")
    await process.start()
    yield process
    process.close()


async def outcome(process: EngineProcess[WatchedRecognizer], path: Path) -> str:
    """`decoded`, or the code of the error."""
    try:
        recognition = await process.run(WatchedRecognizer.recognize, 10, path, None)
    except CascadeError as error:
        return error.code
    assert 0 < recognition.duration_s <= MAX_AUDIO_S
    return "decoded"


@pytest.mark.timeout(max(120, FILES // 20))
async def test_a_thousand_damaged_recordings_end_as_samples_or_with_a_code(
    process: EngineProcess[WatchedRecognizer], tmp_path: Path
) -> None:
    """Each damaged recording is decoded or refused with a code, without a crash, a hang or much memory."""
    path = tmp_path / "recording"
    peak_before = await process.run(WatchedRecognizer.peak_bytes, 10)
    outcomes: Counter[str] = Counter()
    for mutant in islice(mutants(SEED), FILES):
        path.write_bytes(mutant.data)
        result = await outcome(process, path)
        assert result in CODES | {"decoded"}, f"{result}: {path.rename(tmp_path / mutant.name)}"
        outcomes[result] += 1
    growth = await process.run(WatchedRecognizer.peak_bytes, 10) - peak_before
    print(f"{FILES} damaged files: {dict(outcomes)}; the decoder took {growth >> 20} MB more at most")
    assert outcomes["decoded"] > FILES / 4, "too few recordings are decodable for the damage to reach the decoders"
    assert outcomes["undecodable_audio"] > FILES / 10
    assert growth < 96 << 20


@pytest.mark.parametrize("kind", seeds())
async def test_undamaged_recordings_are_decoded(
    process: EngineProcess[WatchedRecognizer], tmp_path: Path, kind: str
) -> None:
    """Each undamaged recording from which the damaged ones are made is decoded."""
    (tmp_path / "recording").write_bytes(seeds()[kind])
    assert await outcome(process, tmp_path / "recording") == "decoded"
