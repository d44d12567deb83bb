"""Admission: a job that the queue has no room for is refused before its recording is received."""

from collections.abc import Awaitable, Callable

import httpx
import pytest
from pydantic import ValidationError

from api.jobs.admission import queue_full_error
from api.settings import ApiSettings
from shared.queue.messages import QueueStats
from shared.queue.queue import Queue

Send = Callable[..., Awaitable[httpx.Response]]


def set_stats(queue: Queue, monkeypatch: pytest.MonkeyPatch, stats: QueueStats) -> None:
    """Replace the queue's statistics."""

    async def read_stats() -> QueueStats:
        return stats

    monkeypatch.setattr(queue, "stats", read_stats)


@pytest.mark.parametrize(
    ("ended_per_s", "seconds"),
    [(0, 30), (10, 10), (100, 1), (10_000, 1), (0.3, 334), (0.01, 600)],
)
def test_retry_after_estimates_when_there_will_be_room(ended_per_s: float, seconds: int) -> None:
    """Retry-After is the time in which a tenth of 1,000 jobs end at the current rate, between one second and ten
    minutes."""
    assert (
        queue_full_error(QueueStats(live=1000, ended_per_s=ended_per_s, memory_full=False), 1000).retry_after_s
        == seconds
    )


async def test_a_full_queue_refuses_before_the_body(
    client: httpx.AsyncClient, fake_queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full queue refuses an upload before reading its body, so that no client sends 25 MB for nothing."""
    set_stats(fake_queue, monkeypatch, QueueStats(live=1000, ended_per_s=10, memory_full=False))
    # Not even a form, which shows that the body has not been looked at.
    response = await client.post("/transcribe")
    assert (response.status_code, response.json()["code"]) == (503, "queue_full")
    assert response.headers["retry-after"] == "10"


async def test_no_jobs_are_accepted_when_redis_is_full(
    client: httpx.AsyncClient, fake_queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An upload is refused when Redis is short of memory, which is left to the accepted jobs."""
    set_stats(fake_queue, monkeypatch, QueueStats(live=1, ended_per_s=0, memory_full=True))
    response = await client.post("/transcribe")
    assert (response.status_code, response.json()["code"]) == (503, "queue_memory_full")
    assert response.headers["retry-after"] == "30"


@pytest.mark.parametrize("stats", [QueueStats(1000, 1, False), QueueStats(1, 1, True)], ids=["jobs", "memory"])
async def test_a_repeated_upload_gets_its_job_when_the_queue_is_full(
    upload: Send, fake_queue: Queue, monkeypatch: pytest.MonkeyPatch, stats: QueueStats
) -> None:
    """A repeated idempotency key returns its first job even when the queue refuses new ones."""
    first = await upload(key="one")
    set_stats(fake_queue, monkeypatch, stats)
    assert (await upload(key="one")).json() == first.json()
    assert (await upload(key="two")).status_code == 503


@pytest.mark.parametrize("limit", ["1000/second;5/minute", "5/minute, 9/day", "0/minute", "often", "60/minute;"])
def test_an_unsupported_rate_limit_is_refused_at_startup(limit: str) -> None:
    """A rate limit with several rates or a rate of zero is refused: of several only the first would count, and zero
    would refuse every client."""
    with pytest.raises(ValidationError, match="60/minute, or off"):
        ApiSettings(rate_limit=limit)


class TestRace:
    """The last free place is taken while a recording is being received."""

    @pytest.fixture
    def settings(self, settings: ApiSettings) -> ApiSettings:
        return settings.model_copy(update={"max_live_jobs": 1})

    async def test_a_job_refused_by_the_queue_gets_the_same_response(
        self, upload: Send, fake_queue: Queue, monkeypatch: pytest.MonkeyPatch, files: Callable[[], list[str]]
    ) -> None:
        """An upload that the queue refuses in the end gets the same response as an early refusal, and leaves no
        file."""
        await upload()
        stats = iter([QueueStats(0, 0, False), QueueStats(1, 0.05, False)])

        async def read_stats() -> QueueStats:
            return next(stats)

        monkeypatch.setattr(fake_queue, "stats", read_stats)
        response = await upload()
        assert (response.status_code, response.json()["code"], response.headers["retry-after"]) == (
            503,
            "queue_full",
            "2",
        )
        assert len(files()) == 1
