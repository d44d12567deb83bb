"""Metrics for Prometheus, read by its own parser."""

from collections.abc import Awaitable, Callable

import httpx
import pytest
from fakeredis import FakeServer
from prometheus_client.parser import text_string_to_metric_families

from api.responses.metrics import _COUNTERS
from shared.queue.keys import BOUNDS_MS, KEYS
from shared.queue.messages import Claim, Outcome, WorkerInfo
from shared.queue.queue import Queue
from shared.queue.stages import Stage, task_name

Send = Callable[..., Awaitable[httpx.Response]]
ClaimNext = Callable[[Stage], Awaitable[Claim]]


@pytest.fixture
def scrape(client: httpx.AsyncClient) -> Callable[[], Awaitable[dict[str, float]]]:
    """Read every sample by its name and labels: `cascade_workers{engine="ear",…}`."""

    async def scrape() -> dict[str, float]:
        response = await client.get("/metrics")
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/plain; version=")
        samples: dict[str, float] = {}
        for family in text_string_to_metric_families(response.text):
            for sample in family.samples:
                labels = ",".join(f'{name}="{value}"' for name, value in sorted(sample.labels.items()))
                name = f"{sample.name}{{{labels}}}" if labels else sample.name
                assert name not in samples, "duplicate sample"
                samples[name] = sample.value
        return samples

    return scrape


Scrape = Callable[[], Awaitable[dict[str, float]]]


async def test_the_current_state_of_the_queue(
    scrape: Scrape, upload: Send, fake_queue: Queue, claim: ClaimNext
) -> None:
    """Gauges show the waiting and held tasks, the workers and the live jobs; a stage without workers has a zero, for
    alerts."""
    await upload()
    await upload()
    for worker, info in {
        "worker": WorkerInfo("stt", "ear", "tiny"),
        "another": WorkerInfo("stt", "ear", "tiny"),
        "third": WorkerInfo("llm", "mind", 'a"\\\n\ud83d'),
    }.items():
        await fake_queue.heartbeat(worker, info)
    await claim("stt")
    metrics = await scrape()
    expected = {
        'cascade_queue_depth{stage="stt"}': 1,
        'cascade_queue_depth{stage="tts"}': 0,
        'cascade_tasks_active{stage="stt"}': 1,
        'cascade_workers{engine="ear",model="tiny",stage="stt"}': 2,
        'cascade_workers{engine="mind",model="a"\\\n\\ud83d",stage="llm"}': 1,
        'cascade_workers{engine="",model="",stage="tts"}': 0,
        "cascade_jobs_live": 2,
        "cascade_jobs_accepted_total": 2,
        "cascade_tasks_delayed": 0,
        "cascade_tasks_dead": 0,
    }
    assert {name: metrics.get(name) for name in expected} == expected
    assert metrics['cascade_queue_oldest_seconds{stage="stt"}'] >= 0


async def test_counters_of_jobs_and_tasks(
    scrape: Scrape,
    upload: Send,
    fake_queue: Queue,
    claim: ClaimNext,
    complete: Callable[[str], Awaitable[None]],
) -> None:
    """Counters show jobs by how they ended, tasks by stage, and failures by code."""
    await complete((await upload()).json()["job_id"])
    job_id = (await upload()).json()["job_id"]
    outcome = Outcome(
        next=[(task_name("llm", job_id), "")],
        counts={"stt_strategy:full": 1, "stt_fallback_reason:silent": 1, "x:y": 3},
    )
    assert await fake_queue.commit("worker", await claim("stt"), outcome) == "committed"
    await fake_queue.dead_letter("worker", await claim("llm"), "model_refused", "No.")
    metrics = await scrape()
    expected = {
        'cascade_jobs_ended_total{status="completed"}': 1,
        'cascade_jobs_ended_total{status="failed"}': 1,
        'cascade_tasks_done_total{stage="stt"}': 2,
        'cascade_tasks_done_total{stage="llm"}': 1,
        'cascade_tasks_dead_lettered_total{code="model_refused",stage="llm"}': 1,
        'cascade_stt_strategies_total{strategy="full"}': 1,
        'cascade_stt_fallbacks_total{reason="silent"}': 1,
        'cascade_engine_events_total{name="x:y"}': 3,
        "cascade_tasks_dead": 1,
        "cascade_job_seconds_count": 1,
        'cascade_stage_worked_seconds_count{stage="llm"}': 1,
        'cascade_stage_waited_seconds_bucket{le="+Inf",stage="tts"}': 1,
    }
    assert {name: metrics.get(name) for name in expected} == expected
    assert [name for name in metrics if name.startswith("cascade_engine_events")] == [
        'cascade_engine_events_total{name="x:y"}'
    ]


async def test_histogram_buckets_are_cumulative(
    scrape: Scrape, upload: Send, fake_queue: Queue, complete: Callable[[str], Awaitable[None]]
) -> None:
    """A job's duration counts in every bucket that is as wide, and the last bucket has no bound."""
    for ago_ms in (0, 700, 40_000, 7_200_000):
        job_id = (await upload()).json()["job_id"]
        await fake_queue.client.command("hincrby", KEYS["JOB"] + job_id, "created_at", -ago_ms - 1)
        await complete(job_id)
    metrics = await scrape()
    widths = [f"{bound / 1000:g}" for bound in BOUNDS_MS] + ["+Inf"]
    numbers = [metrics[f'cascade_job_seconds_bucket{{le="{width}"}}'] for width in widths]
    assert (numbers[3], numbers[widths.index("1")], numbers[widths.index("60")], numbers[-2:]) == (
        metrics['cascade_job_seconds_bucket{le="0.5"}'],
        2,
        3,
        [3, 4],
    )
    assert numbers == sorted(numbers)
    assert metrics["cascade_job_seconds_sum"] == pytest.approx(7240.7, abs=20)


async def test_foreign_counters_are_skipped(scrape: Scrape, fake_queue: Queue) -> None:
    """A field of the counters' hash that is not one of the queue's is skipped, and the rest is reported."""
    for field, value in {
        "done:stt": "x",
        "ended": "1",
        "accepted": "7",
        "dead_lettered:stt": "1",
        "": "1",
        "a:b": "-5",
    }.items():
        await fake_queue.client.command("hset", KEYS["COUNTS"], field, value)
    metrics = await scrape()
    assert metrics["cascade_jobs_accepted_total"] == 7
    assert not any(
        name.startswith(("cascade_tasks_done", "cascade_jobs_ended", "cascade_tasks_dead_lettered")) for name in metrics
    )


async def test_a_counter_does_not_depend_on_the_order(
    scrape: Scrape, fake_queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A count that two counters could read belongs to the one with the longer name, in whatever order they are
    listed."""
    for field in ("engine_event:stt_strategy:full", "engine_event:stt_fallback_reason:silent", "engine_event:x:y"):
        await fake_queue.client.command("hset", KEYS["COUNTS"], field, "3")
    in_order = await scrape()
    monkeypatch.setattr("api.responses.metrics._COUNTERS", _COUNTERS[::-1])
    assert await scrape() == in_order
    assert {name: in_order[name] for name in in_order if name.startswith(("cascade_stt", "cascade_engine"))} == {
        'cascade_stt_strategies_total{strategy="full"}': 3,
        'cascade_stt_fallbacks_total{reason="silent"}': 3,
        'cascade_engine_events_total{name="x:y"}': 3,
    }


async def test_metrics_fail_without_redis(client: httpx.AsyncClient, fake_redis: FakeServer) -> None:
    """A scrape without Redis is 503, so that Prometheus does not take it for zeros."""
    fake_redis.connected = False
    response = await client.get("/metrics")
    assert (response.status_code, response.json()["code"]) == (503, "queue_unavailable")


@pytest.mark.parametrize("key", ["secret-secret-secret"])
class TestWithKeys:
    """An API with keys, which keeps its amount of work private."""

    @pytest.fixture
    def settings(self, settings, key):  # type: ignore[no-untyped-def]
        return settings.model_copy(update={"api_keys": type(settings.api_keys)(key)})

    async def test_prometheus_sends_a_key(self, client: httpx.AsyncClient, key: str) -> None:
        """Prometheus may send a key as a bearer token or as the password of HTTP Basic, and needs one."""
        assert (await client.get("/metrics")).status_code == 401
        assert (await client.get("/metrics", headers={"Authorization": f"Bearer {key}"})).status_code == 200
        assert (await client.get("/metrics", auth=("prometheus", key))).status_code == 200
