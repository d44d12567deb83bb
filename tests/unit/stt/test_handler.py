"""The STT handler: which recordings of a batch share a pass of the engine, and that none harms another."""

import wave
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from shared.errors import CascadeError, EngineCrashed, InputMissing, NoSpeech
from shared.queue.messages import Claim, Outcome, WorkerInfo
from shared.storage.local import LocalStorage
from stt_worker import child
from stt_worker.child import Recognizer
from stt_worker.engine import Samples, Transcript
from stt_worker.handler import SttHandler
from stt_worker.settings import SttSettings

SETTINGS = SttSettings(_env_file=None, stt_timeout_s=10, stt_timeout_ratio=2)  # type: ignore[call-arg]

#: Names a recording by its length in samples.
SILENCE = 1_600
UNSURE = 3_200


class LengthEngine:
    """Transcribes a recording as its length in samples, and records its calls."""

    name = "length"
    model = "none"

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.singles: list[int] = []

    def transcribe(self, samples: Samples, language: str | None) -> Transcript:
        self.singles.append(samples.size)
        return Transcript(str(samples.size), language or "en", "full")

    def transcribe_batch(
        self, recordings: Sequence[Samples], languages: Sequence[str | None]
    ) -> list[Transcript | CascadeError | None]:
        self.batches.append([samples.size for samples in recordings])
        return [
            {SILENCE: NoSpeech(), UNSURE: None}.get(samples.size, Transcript(str(samples.size), language or "en"))
            for samples, language in zip(recordings, languages, strict=True)
        ]


class SameProcess:
    """Stands in for the engine's process: calls the recognizer here, and records the timeouts."""

    def __init__(self, recognizer: Recognizer) -> None:
        self.timeouts: dict[str, float] = {}
        self.crashes_on: Path | None = None
        self._recognizer = recognizer

    async def run(self, method: Callable[..., Any], timeout_s: float, *args: Any) -> Any:
        self.timeouts[method.__name__] = timeout_s
        if args[0] == self.crashes_on:
            raise EngineCrashed
        return method(self._recognizer, *args)


@pytest.fixture
def engine() -> LengthEngine:
    return LengthEngine()


@pytest.fixture
def process(engine: LengthEngine) -> SameProcess:
    return SameProcess(Recognizer(engine, SETTINGS))


@pytest.fixture
def storage(tmp_path: Path) -> LocalStorage:
    storage = LocalStorage(tmp_path)
    storage.prepare()
    return storage


@pytest.fixture
def handler(process: SameProcess, storage: LocalStorage) -> SttHandler:
    return SttHandler(process, WorkerInfo("stt", "length", "none", batch=8), storage, SETTINGS)  # type: ignore[arg-type]


@pytest.fixture
def upload(storage: LocalStorage) -> Callable[[int], Claim]:
    """Return a function that stores a silent recording of a number of samples and returns its claim."""

    def store(samples: int, **fields: str) -> Claim:
        claim = claim_of(f"{samples:032x}", **fields)
        with storage.upload_writer(claim.job_id) as file, wave.open(file, "wb") as recording:
            recording.setnchannels(1)
            recording.setsampwidth(2)
            recording.setframerate(16_000)
            recording.writeframes(bytes(2 * samples))
        return claim

    return store


def claim_of(job_id: str, **fields: str) -> Claim:
    return Claim(f"stt:{job_id}", "token", 1, "", {"route": "stt,llm"} | fields)


def never(_claim: Claim) -> bool:
    return False


async def record_step(_step: Outcome) -> None:
    raise AssertionError("STT tasks have no steps")


def texts(results: Sequence[Outcome | Exception | None]) -> list[str | type[Exception] | None]:
    """Each result as its transcript, its error's type, or None."""
    return [
        result.fields["transcript"]
        if isinstance(result, Outcome)
        else (type(result) if isinstance(result, Exception) else None)
        for result in results
    ]


async def test_short_recordings_share_one_pass(handler, engine, upload):
    """All recordings of a batch are recognized in one call, and each claim gets its own outcome."""
    claims = [upload(samples) for samples in (8_000, 16_000, 24_000)]
    results = await handler.handle_batch(claims, never)
    assert texts(results) == ["8000", "16000", "24000"]
    assert engine.batches == [[8_000, 16_000, 24_000]]
    assert [result.next for result in results] == [[(f"llm:{claim.job_id}", "")] for claim in claims]


async def test_single_recording_is_left_to_handle(handler, engine, upload):
    """One recording without others to share a pass is not batched."""
    assert await handler.handle_batch([upload(8_000)], never) == [None]
    assert engine.batches == []


async def test_missing_upload_leaves_the_others(handler, engine, upload):
    """A claim whose upload was erased fails; the others are recognized without it."""
    claims = [upload(8_000), claim_of("f" * 32), upload(16_000)]
    assert texts(await handler.handle_batch(claims, never)) == ["8000", InputMissing, "16000"]
    assert engine.batches == [[8_000, 16_000]]


async def test_recording_that_crashes_the_decoder_leaves_the_others(handler, process, storage, engine, upload):
    """A crash while one recording is decoded fails that claim only."""
    claims = [upload(8_000), upload(16_000), upload(24_000)]
    with storage.local_copy(claims[1].job_id) as path:
        process.crashes_on = path
    assert texts(await handler.handle_batch(claims, never)) == ["8000", EngineCrashed, "24000"]
    assert engine.batches == [[8_000, 24_000]]


async def test_error_of_one_recording_leaves_the_others(handler, upload):
    """A recording without speech fails; the others get their transcripts."""
    claims = [upload(8_000), upload(SILENCE), upload(16_000)]
    assert texts(await handler.handle_batch(claims, never)) == ["8000", NoSpeech, "16000"]


async def test_damaged_fields_of_one_job_leave_the_others(handler, upload):
    """A job whose route cannot be read fails; the others get their transcripts."""
    claims = [upload(8_000), upload(16_000, route="llm"), upload(24_000)]
    assert texts(await handler.handle_batch(claims, never)) == ["8000", ValueError, "24000"]


async def test_claim_cancelled_before_the_pass_is_not_recognized(handler, engine, upload):
    """A job that was cancelled while the batch was decoded costs no recognition."""
    claims = [upload(8_000), upload(16_000), upload(24_000)]
    await handler.handle_batch(claims, lambda claim: claim is claims[1])
    assert engine.batches == [[8_000, 24_000]]


async def test_long_recording_is_left_to_handle(handler, engine, upload):
    """A recording of more than 30 s does not delay the short ones of its batch."""
    claims = [upload(8_000), upload(31 * 16_000), upload(16_000)]
    assert texts(await handler.handle_batch(claims, never)) == ["8000", None, "16000"]
    assert engine.batches == [[8_000, 16_000]]


async def test_recording_that_the_engine_leaves_out_is_recognized_by_handle(handler, engine, upload, monkeypatch):
    """A recording that a batch cannot serve is recognized alone, without being decoded again."""
    claims = [upload(8_000), upload(UNSURE)]
    assert texts(await handler.handle_batch(claims, never)) == ["8000", None]
    monkeypatch.setattr(child, "decode", lambda *_: pytest.fail("decoded again"))
    outcome = await handler.handle(claims[1], record_step)
    assert (outcome.fields["transcript"], engine.singles) == (str(UNSURE), [UNSURE])


async def test_timeout_grows_with_the_audio_of_the_batch(handler, process, upload):
    """A batch may take STT_TIMEOUT_S plus STT_TIMEOUT_RATIO for each second of all its recordings."""
    await handler.handle_batch([upload(8_000), upload(16_000)], never)
    assert process.timeouts == {"open": 10, "recognize_batch": 10 + 2 * 1.5}


async def test_outcome_has_transcript_language_and_strategy(handler, upload):
    """The outcome of one recording has its fields, counters, event and next task."""
    outcome = await handler.handle(upload(8_000, language_hint="de-AT"), record_step)
    assert outcome.fields == {
        "transcript": "8000",
        "language": "de",
        "input_duration_s": "0.500",
        "engine:stt": "length",
        "model:stt": "none",
        "strategy:stt": "full",
    }
    assert outcome.counts == {"stt_strategy:full": 1}
    assert outcome.next == [(f"llm:{8_000:032x}", "")]


async def test_last_stage_has_no_next_task(handler, upload):
    """A job that only wants a transcript ends with this stage."""
    outcome = await handler.handle(upload(8_000, route="stt"), record_step)
    assert outcome.next == []
