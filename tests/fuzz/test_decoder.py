"""Damaged recordings against the decoder, in the process in which it runs."""

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

#: `FUZZ_FILES=20000 FUZZ_SEED=7 pytest tests/fuzz/test_decoder.py` looks further.
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
    """`heard`, or the code of the error."""
    try:
        recognition = await process.run(WatchedRecognizer.recognize, 10, path, None)
    except CascadeError as error:
        return error.code
    assert 0 < recognition.duration_s <= MAX_AUDIO_S
    return "heard"


@pytest.mark.timeout(max(120, FILES // 20))
async def test_a_thousand_damaged_recordings_end_as_samples_or_with_a_code(
    process: EngineProcess[WatchedRecognizer], tmp_path: Path
) -> None:
    """None crashes the decoder, makes it hang, take much memory, or raise what is not ours."""
    path = tmp_path / "recording"
    before = await process.run(WatchedRecognizer.peak_bytes, 10)
    outcomes: Counter[str] = Counter()
    for mutant in islice(mutants(SEED), FILES):
        path.write_bytes(mutant.data)
        how = await outcome(process, path)
        assert how in CODES | {"heard"}, f"{how}: {path.rename(tmp_path / mutant.name)}"
        outcomes[how] += 1
    grown = await process.run(WatchedRecognizer.peak_bytes, 10) - before
    print(f"{FILES} damaged files: {dict(outcomes)}; the decoder took {grown >> 20} MB more at most")
    assert outcomes["heard"] > FILES / 4, "nothing is left to decode: the damage is too crude to find anything"
    assert outcomes["undecodable_audio"] > FILES / 10
    assert grown < 96 << 20


@pytest.mark.parametrize("kind", seeds())
async def test_what_is_not_damaged_is_heard(
    process: EngineProcess[WatchedRecognizer], tmp_path: Path, kind: str
) -> None:
    """The recordings that the damaged ones are made of are decoded whole."""
    (tmp_path / "recording").write_bytes(seeds()[kind])
    assert await outcome(process, tmp_path / "recording") == "heard"
