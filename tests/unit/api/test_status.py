"""The status of a job, at once and after waiting for its end."""

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
Work = Callable[..., Awaitable[Claim]]
Complete = Callable[[str], Awaitable[None]]


@pytest.fixture
async def job_id(upload: Send) -> str:
    return str((await upload()).json()["job_id"])


async def test_a_new_job_is_pending(client: httpx.AsyncClient, job_id: str) -> None:
    """Right after the upload there are an id, times and nothing else to tell."""
    job = (await client.get(f"/status/{job_id}")).json()
    assert (job["job_id"], job["status"], job["stage"], job["route"]) == (job_id, "pending", "stt", "stt,llm,tts")
    assert abs(datetime.fromisoformat(job["created_at"]) - datetime.now(UTC)) < timedelta(minutes=1)
    assert job["updated_at"] == job["created_at"]
    nothing = [
        "transcript",
        "language",
        "response",
        "audio_path",
        "audio_url",
        "duration_s",
        "input_duration_s",
        "error",
    ]
    assert {name: job[name] for name in nothing} == dict.fromkeys(nothing)
    assert (job["engines"], job["attempts"]) == ({}, {})


async def test_a_job_in_work_shows_what_is_known(client: httpx.AsyncClient, job_id: str, work: Work) -> None:
    """The transcript can be read while the answer is still awaited."""
    await work("stt", {"transcript": "What is it?", "language": "en"}, [(task_name("llm", job_id), "")])
    job = (await client.get(f"/status/{job_id}")).json()
    assert (job["status"], job["transcript"], job["language"]) == ("processing", "What is it?", "en")
    assert (job["response"], job["audio_url"]) == (None, None)


async def test_a_completed_job_shows_everything(client: httpx.AsyncClient, job_id: str, complete: Complete) -> None:
    """Texts, audio, engines, attempts and the waterfall of all stages."""
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


async def test_a_failed_job_says_why(
    client: httpx.AsyncClient, job_id: str, fake_queue: Queue, claim: Callable[[Stage], Awaitable[Claim]]
) -> None:
    """The error has a word for programs and a sentence for people."""
    claimed = await claim("stt")
    await fake_queue.dead_letter("worker", claimed, "no_speech", "No speech was found.")
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
    """An id that never was, or is none, is 404 at once, whatever it looks like."""
    answer = await asyncio.wait_for(client.request(method, path.format(unknown)), 3)
    assert answer.status_code == 404
    assert answer.json()["code"] in {"job_not_found", "not_found"}
    assert answer.headers["content-type"] == "application/problem+json"


async def test_waiting_ends_with_the_job(client: httpx.AsyncClient, job_id: str, complete: Complete) -> None:
    """A long poll answers as soon as the job has ended, not when its time is over."""
    polls = [asyncio.create_task(client.get(f"/status/{job_id}?wait=30")) for _ in range(5)]
    await asyncio.sleep(0.1)
    assert not any(poll.done() for poll in polls)
    await complete(job_id)
    answers = await asyncio.wait_for(asyncio.gather(*polls), 5)
    assert {answer.json()["status"] for answer in answers} == {"completed"}


async def test_in_a_crowd_waiting_is_short(
    client: httpx.AsyncClient, job_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those who wait do not use up the connections that others need: who comes late is answered soon, as things are."""
    monkeypatch.setattr("api.jobs.job_changes._CROWD", 3)
    monkeypatch.setattr("api.jobs.job_changes._SOON_S", 0.1)
    early = [asyncio.create_task(client.get(f"/status/{job_id}?wait=30")) for _ in range(3)]
    await asyncio.sleep(0.1)
    late = await asyncio.wait_for(client.get(f"/status/{job_id}?wait=30"), 5)
    assert late.json()["status"] == "pending"
    assert not any(poll.done() for poll in early)
    await client.delete(f"/jobs/{job_id}")
    await asyncio.wait_for(asyncio.gather(*early), 5)


async def test_waiting_ends_when_another_caller_cancels(client: httpx.AsyncClient, job_id: str) -> None:
    """Who waits for a job hears of its removal."""
    poll = asyncio.create_task(client.get(f"/status/{job_id}?wait=30"))
    await asyncio.sleep(0.1)
    await client.delete(f"/jobs/{job_id}")
    assert (await asyncio.wait_for(poll, 5)).json()["status"] == "cancelled"


async def test_waiting_ends_with_the_time(client: httpx.AsyncClient, job_id: str) -> None:
    """When the time is over, the answer is the job as it stands."""
    answer = await asyncio.wait_for(client.get(f"/status/{job_id}?wait=0.2"), 5)
    assert (answer.status_code, answer.json()["status"]) == (200, "pending")
    assert answer.elapsed >= timedelta(seconds=0.2)


async def test_an_ended_job_is_not_waited_for(client: httpx.AsyncClient, job_id: str, complete: Complete) -> None:
    """Waiting for what has ended is no waiting."""
    await complete(job_id)
    answer = await asyncio.wait_for(client.get(f"/status/{job_id}?wait=30"), 3)
    assert answer.json()["status"] == "completed"


@pytest.mark.parametrize(
    ("wait", "wanted"),
    [
        ("-1", "at least 0"),
        ("60.5", "at most 60"),
        ("inf", "at most 60"),
        ("nan", "valid|at least 0|at most 60|a number"),
        ("soon", "a number"),
        ("", "a number"),
    ],
)
async def test_a_wait_out_of_bounds_is_refused(client: httpx.AsyncClient, job_id: str, wait: str, wanted: str) -> None:
    """Only 0 to 60 seconds are waited, and the answer says so in our own words."""
    answer = await client.get(f"/status/{job_id}?wait={wait}")
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert re.search(rf"the query wait must be ({wanted})\.$", answer.json()["detail"]), answer.json()["detail"]
