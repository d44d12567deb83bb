"""What Prometheus is told, read by its own parser."""

from collections.abc import Awaitable, Callable

import httpx
import pytest
from fakeredis import FakeServer
from prometheus_client.parser import text_string_to_metric_families

from shared.queue.keys import BOUNDS_MS, KEYS
from shared.queue.messages import Claim, Outcome, WorkerInfo
from shared.queue.queue import Queue
from shared.queue.stages import Stage, task_name

Send = Callable[..., Awaitable[httpx.Response]]
Claiming = Callable[[Stage], Awaitable[Claim]]


@pytest.fixture
def scrape(client: httpx.AsyncClient) -> Callable[[], Awaitable[dict[str, float]]]:
    """Every sample that is told, as it would be asked for: `cascade_workers{engine="ear",…}`."""

    async def scrape() -> dict[str, float]:
        answer = await client.get("/metrics")
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/plain; version=")
        told: dict[str, float] = {}
        for family in text_string_to_metric_families(answer.text):
            for sample in family.samples:
                labels = ",".join(f'{name}="{value}"' for name, value in sorted(sample.labels.items()))
                name = f"{sample.name}{{{labels}}}" if labels else sample.name
                assert name not in told, "told twice"
                told[name] = sample.value
        return told

    return scrape


Scrape = Callable[[], Awaitable[dict[str, float]]]


async def test_how_things_stand(scrape: Scrape, upload: Send, fake_queue: Queue, claim: Claiming) -> None:
    """What waits, who works, and the totals; a stage without workers is told, for alarms."""
    await upload()
    await upload()
    for worker, info in {
        "worker": WorkerInfo("stt", "ear", "tiny"),
        "another": WorkerInfo("stt", "ear", "tiny"),
        "third": WorkerInfo("llm", "mind", 'a"\\\n\ud83d'),
    }.items():
        await fake_queue.heartbeat(worker, info)
    await claim("stt")
    told = await scrape()
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
    assert {name: told.get(name) for name in expected} == expected
    assert told['cascade_queue_oldest_seconds{stage="stt"}'] >= 0


async def test_what_has_happened(
    scrape: Scrape,
    upload: Send,
    fake_queue: Queue,
    claim: Claiming,
    complete: Callable[[str], Awaitable[None]],
) -> None:
    """Jobs by how they ended, tasks by stage, and failures by reason."""
    await complete((await upload()).json()["job_id"])
    job_id = (await upload()).json()["job_id"]
    heard = Outcome(
        next=[(task_name("llm", job_id), "")],
        counts={"stt_strategy:full": 1, "stt_fallback_reason:silent": 1, "x:y": 3},
    )
    assert await fake_queue.commit("worker", await claim("stt"), heard) == "committed"
    await fake_queue.dead_letter("worker", await claim("llm"), "model_refused", "No.")
    told = await scrape()
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
    assert {name: told.get(name) for name in expected} == expected
    assert [name for name in told if name.startswith("cascade_engine_events")] == [
        'cascade_engine_events_total{name="x:y"}'
    ]


async def test_a_time_counts_in_every_bucket_that_is_as_wide(
    scrape: Scrape, upload: Send, fake_queue: Queue, complete: Callable[[str], Awaitable[None]]
) -> None:
    """As Prometheus has it; the last has no bound."""
    for ago_ms in (0, 700, 40_000, 7_200_000):
        job_id = (await upload()).json()["job_id"]
        await fake_queue.redis.client.hincrby(KEYS["JOB"] + job_id, "created_at", -ago_ms - 1)
        await complete(job_id)
    told = await scrape()
    widths = [f"{bound / 1000:g}" for bound in BOUNDS_MS] + ["+Inf"]
    numbers = [told[f'cascade_job_seconds_bucket{{le="{width}"}}'] for width in widths]
    assert (numbers[3], numbers[widths.index("1")], numbers[widths.index("60")], numbers[-2:]) == (
        told['cascade_job_seconds_bucket{le="0.5"}'],
        2,
        3,
        [3, 4],
    )
    assert numbers == sorted(numbers)
    assert told["cascade_job_seconds_sum"] == pytest.approx(7240.7, abs=20)


async def test_what_somebody_else_counted_there_is_passed_over(scrape: Scrape, fake_queue: Queue) -> None:
    """Whatever the names and numbers are, the rest is told."""
    for field, value in {
        "done:stt": "x",
        "ended": "1",
        "accepted": "7",
        "set_aside:stt": "1",
        "": "1",
        "a:b": "-5",
    }.items():
        await fake_queue.redis.client.hset(KEYS["COUNTS"], field, value)
    told = await scrape()
    assert told["cascade_jobs_accepted_total"] == 7
    assert not any(name.startswith(("cascade_tasks_done", "cascade_jobs_ended", "cascade_tasks_set")) for name in told)


async def test_without_redis_there_is_nothing_to_tell(client: httpx.AsyncClient, fake_redis: FakeServer) -> None:
    """A scrape that fails is seen as one, and not taken for zeros."""
    fake_redis.connected = False
    answer = await client.get("/metrics")
    assert (answer.status_code, answer.json()["code"]) == (503, "queue_unavailable")


@pytest.mark.parametrize("key", ["secret-secret-secret"])
class TestWithKeys:
    """The volume of work is nobody else's business."""

    @pytest.fixture
    def settings(self, settings, key):  # type: ignore[no-untyped-def]
        return settings.model_copy(update={"api_keys": type(settings.api_keys)(key)})

    async def test_prometheus_sends_a_key(self, client: httpx.AsyncClient, key: str) -> None:
        """As a bearer token, or as the password of HTTP Basic; its configuration knows both."""
        assert (await client.get("/metrics")).status_code == 401
        assert (await client.get("/metrics", headers={"Authorization": f"Bearer {key}"})).status_code == 200
        assert (await client.get("/metrics", auth=("prometheus", key))).status_code == 200
