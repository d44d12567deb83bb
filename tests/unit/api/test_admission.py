"""Admission: whether there is room for one more job, before its recording is received."""

from collections.abc import Awaitable, Callable

import httpx
import pytest
from pydantic import ValidationError

from api.jobs.admission import full
from api.settings import ApiSettings
from shared.queue.messages import QueueStats
from shared.queue.queue import Queue

Send = Callable[..., Awaitable[httpx.Response]]


def loaded(queue: Queue, monkeypatch: pytest.MonkeyPatch, load: QueueStats) -> None:
    async def told() -> QueueStats:
        return load

    monkeypatch.setattr(queue, "stats", told)


@pytest.mark.parametrize(
    ("ended_per_s", "seconds"),
    [(0, 30), (10, 10), (100, 1), (10_000, 1), (0.3, 334), (0.01, 600)],
)
def test_a_refused_caller_is_told_when_there_will_be_room(ended_per_s: float, seconds: int) -> None:
    """A tenth of 1,000 jobs, at the rate at which jobs end; within ten minutes, and never at once."""
    assert full(QueueStats(live=1000, ended_per_s=ended_per_s, memory_full=False), 1000).retry_after_s == seconds


async def test_a_full_queue_refuses_before_the_body(
    client: httpx.AsyncClient, fake_queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody sends 25 MB to hear that there is no room."""
    loaded(fake_queue, monkeypatch, QueueStats(live=1000, ended_per_s=10, memory_full=False))
    # Without a form even: what the body is has not been looked at.
    answer = await client.post("/transcribe")
    assert (answer.status_code, answer.json()["code"]) == (503, "queue_full")
    assert answer.headers["retry-after"] == "10"


async def test_a_redis_that_is_full_takes_no_new_jobs(
    client: httpx.AsyncClient, fake_queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What memory is left is for the jobs that have been accepted."""
    loaded(fake_queue, monkeypatch, QueueStats(live=1, ended_per_s=0, memory_full=True))
    answer = await client.post("/transcribe")
    assert (answer.status_code, answer.json()["code"]) == (503, "queue_memory_full")
    assert answer.headers["retry-after"] == "30"


@pytest.mark.parametrize("load", [QueueStats(1000, 1, False), QueueStats(1, 1, True)], ids=["jobs", "memory"])
async def test_what_has_been_accepted_is_told_so_at_any_load(
    upload: Send, fake_queue: Queue, monkeypatch: pytest.MonkeyPatch, load: QueueStats
) -> None:
    """A repeated upload gets its first job; another key does not."""
    first = await upload(key="one")
    loaded(fake_queue, monkeypatch, load)
    assert (await upload(key="one")).json() == first.json()
    assert (await upload(key="two")).status_code == 503


@pytest.mark.parametrize("limit", ["1000/second;5/minute", "5/minute, 9/day", "0/minute", "often", "60/minute;"])
def test_a_rate_that_would_not_be_kept_is_refused_at_the_start(limit: str) -> None:
    """Of several only the first would count, and with none at all nobody would be served."""
    with pytest.raises(ValidationError, match="60/minute, or off"):
        ApiSettings(rate_limit=limit)


class TestRace:
    """Where the last place is taken while a recording comes in."""

    @pytest.fixture
    def settings(self, settings: ApiSettings) -> ApiSettings:
        return settings.model_copy(update={"max_live_jobs": 1})

    async def test_who_loses_is_told_the_same(
        self, upload: Send, fake_queue: Queue, monkeypatch: pytest.MonkeyPatch, files: Callable[[], list[str]]
    ) -> None:
        """The queue decides in the end, and its refusal looks as the early one does."""
        await upload()
        loads = iter([QueueStats(0, 0, False), QueueStats(1, 0.05, False)])

        async def changing() -> QueueStats:
            return next(loads)

        monkeypatch.setattr(fake_queue, "stats", changing)
        answer = await upload()
        assert (answer.status_code, answer.json()["code"], answer.headers["retry-after"]) == (503, "queue_full", "2")
        assert len(files()) == 1
