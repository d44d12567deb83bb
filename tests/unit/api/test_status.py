"""The status of a job, at once and by long polling."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from shared.queue.messages import Claim
from shared.queue.queue import Queue
from shared.queue.stages import Stage, task_name

Send = Callable[..., Awaitable[httpx.Response]]
RunTask = Callable[..., Awaitable[Claim]]
Complete = Callable[[str], Awaitable[None]]


@pytest.fixture
async def job_id(upload: Send) -> str:
    return str((await upload()).json()["job_id"])


async def test_a_new_job_is_pending(client: httpx.AsyncClient, job_id: str) -> None:
    """A new job has an id, a route and times, and all its results are null."""
    job = (await client.get(f"/status/{job_id}")).json()
    assert (job["job_id"], job["status"], job["stage"], job["route"]) == (job_id, "pending", "stt", "stt,llm,tts")
    assert abs(datetime.fromisoformat(job["created_at"]) - datetime.now(UTC)) < timedelta(minutes=1)
    assert job["updated_at"] == job["created_at"]
    results = [
        "transcript",
        "language",
        "response",
        "audio_path",
        "audio_url",
        "duration_s",
        "input_duration_s",
        "error",
    ]
    assert {name: job[name] for name in results} == dict.fromkeys(results)
    assert (job["engines"], job["attempts"]) == ({}, {})


async def test_a_processing_job_shows_its_transcript(client: httpx.AsyncClient, job_id: str, run_task: RunTask) -> None:
    """A job that is being answered shows its transcript already."""
    await run_task("stt", {"transcript": "What is it?", "language": "en"}, [(task_name("llm", job_id), "")])
    job = (await client.get(f"/status/{job_id}")).json()
    assert (job["status"], job["transcript"], job["language"]) == ("processing", "What is it?", "en")
    assert (job["response"], job["audio_url"]) == (None, None)


async def test_a_completed_job_shows_all_results(client: httpx.AsyncClient, job_id: str, complete: Complete) -> None:
    """A completed job shows texts, audio, engines, attempts and the timings of all stages."""
    await complete(job_id)
    job = (await client.get(f"/status/{job_id}")).json()
    timings = job.pop("timings")
    assert datetime.fromisoformat(job.pop("created_at")) <= datetime.fromisoformat(job.pop("updated_at"))
    assert job == {
        "job_id": job_id,
        "status": "completed",
        "stage": "tts",
        "route": "stt,llm,tts",
        "conversation_id": None,
        "transcript": "What is it?",
        "language": "en",
        "response": "It is so.",
        "audio_path": f"output/{job_id}_response.wav",
        "audio_url": f"/audio/{job_id}",
        "duration_s": 0.1,
        "input_duration_s": 0.1,
        "engines": {
            "stt": {"engine": "ear", "model": "tiny"},
            "llm": {"engine": "mind", "model": "small"},
            "tts": {"engine": "mouth", "model": ""},
        },
        "attempts": {"stt": 1, "llm": 1, "tts": 1},
        "error": None,
    }
    assert set(timings["stages"]) == {"stt", "llm", "tts"}
    spent = sum(stage["waited_s"] + stage["worked_s"] for stage in timings["stages"].values())
    assert timings["total_s"] == pytest.approx(spent, abs=0.01)


async def test_a_failed_job_shows_its_error(
    client: httpx.AsyncClient, job_id: str, fake_queue: Queue, claim: Callable[[Stage], Awaitable[Claim]]
) -> None:
    """A failed job shows an error code for programs and a message for people."""
    task = await claim("stt")
    await fake_queue.dead_letter("worker", task, "no_speech", "No speech was found.")
    job = (await client.get(f"/status/{job_id}")).json()
    assert (job["status"], job["stage"]) == ("failed", "stt")
    assert job["error"] == {"code": "no_speech", "message": "No speech was found."}


UNKNOWN = ["0" * 32, "short", "..%2F..%2Fetc", "*", "%00", "%ff%fe", "вопрос", "a b", "x" * 4000, "cascade:job:a"]


@pytest.mark.parametrize("unknown", UNKNOWN, ids=lambda value: value[:12].encode().hex())
@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/status/{}"), ("GET", "/status/{}?wait=5"), ("GET", "/audio/{}"), ("DELETE", "/jobs/{}")],
)
async def test_an_unknown_job_is_not_found(client: httpx.AsyncClient, method: str, path: str, unknown: str) -> None:
    """An unknown or malformed id is 404 at once, on every route that takes one."""
    response = await asyncio.wait_for(client.request(method, path.format(unknown)), 3)
    assert response.status_code == 404
    assert response.json()["code"] in {"job_not_found", "not_found"}
    assert response.headers["content-type"] == "application/problem+json"


async def test_a_long_poll_ends_with_the_job(client: httpx.AsyncClient, job_id: str, complete: Complete) -> None:
    """A long poll returns as soon as the job has ended, not when its time is over."""
    polls = [asyncio.create_task(client.get(f"/status/{job_id}?wait=30")) for _ in range(5)]
    await asyncio.sleep(0.1)
    assert not any(poll.done() for poll in polls)
    await complete(job_id)
    responses = await asyncio.wait_for(asyncio.gather(*polls), 5)
    assert {response.json()["status"] for response in responses} == {"completed"}


async def test_long_polls_above_a_limit_are_short(
    client: httpx.AsyncClient, job_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A long poll that comes when many are open returns soon with the job as it is, so that it does not use up the
    connections."""
    monkeypatch.setattr("api.jobs.job_changes._MAX_LONG_POLLS", 3)
    monkeypatch.setattr("api.jobs.job_changes._SHORT_POLL_S", 0.1)
    early_polls = [asyncio.create_task(client.get(f"/status/{job_id}?wait=30")) for _ in range(3)]
    await asyncio.sleep(0.1)
    late_response = await asyncio.wait_for(client.get(f"/status/{job_id}?wait=30"), 5)
    assert late_response.json()["status"] == "pending"
    assert not any(poll.done() for poll in early_polls)
    await client.delete(f"/jobs/{job_id}")
    await asyncio.wait_for(asyncio.gather(*early_polls), 5)


async def test_a_long_poll_ends_when_the_job_is_cancelled(client: httpx.AsyncClient, job_id: str) -> None:
    """A long poll returns as soon as another client cancels the job."""
    poll = asyncio.create_task(client.get(f"/status/{job_id}?wait=30"))
    await asyncio.sleep(0.1)
    await client.delete(f"/jobs/{job_id}")
    assert (await asyncio.wait_for(poll, 5)).json()["status"] == "cancelled"


async def test_a_long_poll_ends_after_its_time(client: httpx.AsyncClient, job_id: str) -> None:
    """A long poll whose time is over returns the job as it is."""
    response = await asyncio.wait_for(client.get(f"/status/{job_id}?wait=0.2"), 5)
    assert (response.status_code, response.json()["status"]) == (200, "pending")
    assert response.elapsed >= timedelta(seconds=0.2)


async def test_a_long_poll_of_an_ended_job_returns_at_once(
    client: httpx.AsyncClient, job_id: str, complete: Complete
) -> None:
    """A long poll of a job that has ended returns at once."""
    await complete(job_id)
    response = await asyncio.wait_for(client.get(f"/status/{job_id}?wait=30"), 3)
    assert response.json()["status"] == "completed"


@pytest.mark.parametrize(
    ("wait", "requirement"),
    [
        ("-1", "at least 0"),
        ("60.5", "at most 60"),
        ("inf", "at most 60"),
        ("nan", "valid|at least 0|at most 60|a number"),
        ("soon", "a number"),
        ("", "a number"),
    ],
)
async def test_a_wait_out_of_bounds_is_refused(
    client: httpx.AsyncClient, job_id: str, wait: str, requirement: str
) -> None:
    """A wait outside 0 to 60 seconds or not a number is 422, and the detail names the bound."""
    response = await client.get(f"/status/{job_id}?wait={wait}")
    assert (response.status_code, response.json()["code"]) == (422, "invalid_request")
    assert re.search(rf"the query wait must be ({requirement})\.$", response.json()["detail"]), response.json()[
        "detail"
    ]
