"""Text requests (/ask and /speak), and routes that end early."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.intake.json_body import JSON_BODY_PROBLEMS, MAX_BYTES, parse_json
from api.problems.problem import Problem
from api.routes.texts import MAX_QUESTION_CHARS, MAX_SPEECH_CHARS, AskRequest
from shared.queue.messages import Claim, QueueStats
from shared.queue.queue import Queue
from shared.queue.stages import Stage

Send = Callable[..., Awaitable[httpx.Response]]
ClaimNext = Callable[[Stage], Awaitable[Claim]]


@pytest.fixture
def post(client: httpx.AsyncClient) -> Send:
    """Post a body to /ask or /speak."""

    async def post(path: str, body: Any, key: str = "") -> httpx.Response:
        return await client.post(path, json=body, headers={"Idempotency-Key": key} if key else {})

    return post


async def test_a_question_becomes_a_job_for_the_language_model(
    post: Send, client: httpx.AsyncClient, claim: ClaimNext
) -> None:
    """A text posted to /ask becomes the job's transcript, and its other fields reach the LLM worker."""
    body = {"text": " So? ", "language": "de", "voice": "anna", "system_prompt": "Be brief.", "conversation_id": "c"}
    response = await post("/ask", body)
    accepted = response.json()
    job_id = accepted["job_id"]
    assert (response.status_code, response.headers["location"]) == (202, f"/status/{job_id}")
    assert (accepted["audio_url"], accepted["events_url"]) == (f"/audio/{job_id}", f"/events/{job_id}")
    job = (await client.get(f"/status/{job_id}")).json()
    assert (job["route"], job["stage"], job["status"]) == ("llm,tts", "llm", "pending")
    assert (job["transcript"], job["language"], job["conversation_id"]) == ("So?", "de", "c")
    task = await claim("llm")
    assert task.task == f"llm:{job_id}"
    assert (task.fields["voice"], task.fields["system_prompt"]) == ("anna", "Be brief.")


async def test_a_text_becomes_a_job_for_speech_synthesis(
    post: Send, client: httpx.AsyncClient, claim: ClaimNext
) -> None:
    """A text posted to /speak becomes the job's response, and goes to the TTS stage only."""
    job_id = (await post("/speak", {"text": "Dinner.", "language": "", "voice": None})).json()["job_id"]
    job = (await client.get(f"/status/{job_id}")).json()
    assert (job["route"], job["stage"], job["response"], job["language"]) == ("tts", "tts", "Dinner.", None)
    task = await claim("tts")
    assert (task.task, task.part, "voice" in task.fields) == (f"tts:{job_id}", None, False)


INVALID_BODIES = {
    "nothing": ({}, 422, "empty_text"),
    "an empty text": ({"text": ""}, 422, "empty_text"),
    "blanks": ({"text": " \n\t\u3000"}, 422, "empty_text"),
    "blanks outside of ASCII": ({"text": "\x1d\x85\ufeff"}, 422, "empty_text"),
    "a number": ({"text": 5}, 422, "invalid_field"),
    "null": ({"text": None}, 422, "invalid_field"),
    "a list": (["text"], 422, "unexpected_field"),
    "an unknown field": ({"text": "So?", "speed": 2}, 422, "unexpected_field"),
    "an invalid language": ({"text": "So?", "language": "german!"}, 422, "invalid_field"),
    "a voice that is a path": ({"text": "So?", "voice": "../../etc"}, 422, "invalid_field"),
}


@pytest.mark.parametrize("body", INVALID_BODIES)
@pytest.mark.parametrize("path", ["/ask", "/speak"])
async def test_an_invalid_body_is_refused_with_a_code(post: Send, path: str, body: str, fake_queue: Queue) -> None:
    """Each invalid body gets its own status and code, and makes no job."""
    content, status, code = INVALID_BODIES[body]
    response = await post(path, content)
    assert (response.status_code, response.json()["code"]) == (status, code)
    assert response.headers["content-type"] == "application/problem+json"
    assert (await fake_queue.stats()).live == 0


@pytest.mark.parametrize(("path", "limit"), [("/ask", MAX_QUESTION_CHARS), ("/speak", MAX_SPEECH_CHARS)])
async def test_the_length_of_a_text_is_limited_in_characters(post: Send, path: str, limit: int) -> None:
    """A text of the most characters is accepted whatever its bytes, and one more is refused with the limit in the
    detail."""
    assert (await post(path, {"text": "🙂" * limit})).status_code == 202
    response = await post(path, {"text": "x" * (limit + 1)})
    assert (response.status_code, response.json()["code"]) == (422, "text_too_long")
    assert f"{limit:,} characters" in response.json()["detail"]


@pytest.mark.parametrize("field", ["system_prompt", "conversation_id"])
async def test_speak_takes_no_prompt_and_no_conversation(post: Send, field: str) -> None:
    """A prompt or conversation sent to /speak, where it has no effect, is refused."""
    assert (await post("/speak", {"text": "So?", field: "x"})).json()["code"] == "unexpected_field"


@pytest.mark.parametrize(
    ("content", "kind", "status", "code"),
    [
        (b"{", "application/json", 400, "malformed_json"),
        (b"", "application/json", 400, "malformed_json"),
        (b'{"text": "\xff"}', "application/json", 400, "malformed_json"),
        (b'{"text": "\\ud800"}', "application/json", 400, "malformed_json"),
        (b"[" * 50_000, "application/json", 400, "malformed_json"),
        (b"text=So", "application/x-www-form-urlencoded", 415, "not_json"),
        (b'{"text": "So?"}', "text/plain", 415, "not_json"),
        (b" " * (MAX_BYTES + 1), "application/json", 413, "body_too_large"),
    ],
)
async def test_a_body_that_is_not_json_is_refused(
    client: httpx.AsyncClient, content: bytes, kind: str, status: int, code: str
) -> None:
    """A body that is not JSON, is sent as another type or is too large gets its own status and code."""
    response = await client.post("/ask", content=content, headers={"Content-Type": kind})
    assert (response.status_code, response.json()["code"]) == (status, code)


async def test_a_body_without_a_length_has_the_same_limit(client: httpx.AsyncClient) -> None:
    """A chunked body is refused as soon as it exceeds the limit."""

    async def body():
        for _ in range(3):
            yield b" " * (MAX_BYTES // 2)

    response = await client.post("/ask", content=body(), headers={"Content-Type": "application/json"})
    assert (response.status_code, response.json()["code"]) == (413, "body_too_large")


async def test_a_media_type_may_have_parameters(client: httpx.AsyncClient) -> None:
    """A content type in other case and with a charset is accepted as JSON."""
    headers = {"Content-Type": "Application/JSON; charset=utf-8"}
    assert (await client.post("/ask", content='{"text": "So?"}', headers=headers)).status_code == 202


@pytest.mark.parametrize("path", ["/ask", "/speak"])
async def test_a_repeated_text_returns_the_first_job(post: Send, path: str, fake_queue: Queue) -> None:
    """The same key with the same text returns the first job; with another text or path it is refused."""
    first = await post(path, {"text": "So?"}, "one")
    second = await post(path, {"text": "So? "}, "one")
    assert (second.status_code, second.json()) == (202, first.json())
    assert (await fake_queue.stats()).live == 1
    for other_path, body in ((path, {"text": "No."}), ("/speak" if path == "/ask" else "/ask", {"text": "So?"})):
        response = await post(other_path, body, "one")
        assert (response.status_code, response.json()["code"]) == (422, "idempotency_key_reused")


@pytest.mark.parametrize("path", ["/ask", "/speak"])
async def test_a_full_queue_refuses_texts_before_the_body(
    client: httpx.AsyncClient, path: str, fake_queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A text is refused before its body is read when the queue is full."""

    async def stats() -> QueueStats:
        return QueueStats(live=1000, ended_per_s=10, memory_full=False)

    monkeypatch.setattr(fake_queue, "stats", stats)
    response = await client.post(path)
    assert (response.status_code, response.json()["code"], response.headers["retry-after"]) == (503, "queue_full", "10")


async def test_a_failed_text_job_can_be_retried(
    post: Send, client: httpx.AsyncClient, claim: ClaimNext, fake_queue: Queue
) -> None:
    """A failed job of /ask can be retried although it has no recording."""
    job_id = (await post("/ask", {"text": "So?"})).json()["job_id"]
    await fake_queue.dead_letter("worker", await claim("llm"), "model_refused", "No.")
    assert (await client.get(f"/dead-letters/{job_id}")).json()[0]["stage"] == "llm"
    assert (await client.post(f"/jobs/{job_id}/retry")).status_code == 202
    assert (await claim("llm")).fields["transcript"] == "So?"


@pytest.mark.parametrize(("route", "stages"), [("stt", ["stt"]), ("stt,llm", ["stt", "llm"])])
async def test_a_route_may_end_with_text(
    client: httpx.AsyncClient, wav: bytes, fake_queue: Queue, route: str, stages: list[str]
) -> None:
    """A job whose route ends before speech synthesis has no audio URL, and its audio is 410."""
    response = await client.post("/transcribe", params={"route": route}, files={"audio_file": ("a", wav)})
    accepted = response.json()
    assert (response.status_code, accepted["audio_url"]) == (202, None)
    assert "audio_url" not in accepted["message"]
    assert (await fake_queue.fields(accepted["job_id"]))["route"] == ",".join(stages)
    audio = await client.get(f"/audio/{accepted['job_id']}")
    assert (audio.status_code, audio.json()["code"]) == (410, "no_audio")


@pytest.mark.parametrize("route", ["", "tts", "llm,tts", "stt,tts", "stt,llm,tts,", "STT"])
async def test_an_unknown_route_is_refused(client: httpx.AsyncClient, wav: bytes, route: str) -> None:
    """An unknown route is 422, and the detail lists the known ones."""
    response = await client.post("/transcribe", params={"route": route}, files={"audio_file": ("a", wav)})
    assert (response.status_code, response.json()["code"]) == (422, "invalid_request")
    assert "'stt', 'stt,llm' or 'stt,llm,tts'" in response.json()["detail"]


async def test_a_route_is_part_of_a_repeated_upload(client: httpx.AsyncClient, wav: bytes) -> None:
    """The same key and recording on another route is refused as another request."""
    headers = {"Idempotency-Key": "one"}
    for route, status in (("stt", 202), ("stt", 202), ("stt,llm", 422)):
        form = {"audio_file": ("a", wav)}
        response = await client.post("/transcribe", params={"route": route}, files=form, headers=headers)
        assert response.status_code == status


OUTCOMES = {(202, "accepted"), *((problem.status, problem.code) for problem in JSON_BODY_PROBLEMS)}

JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
)


@given(
    JSON
    | st.fixed_dictionaries(
        {"text": JSON}, optional=dict.fromkeys(("language", "voice", "system_prompt", "conversation_id", "x"), JSON)
    )
)
def test_any_json_is_a_question_or_refused(body: Any) -> None:
    """Any JSON body is refused with a documented code, or is a question with a text that is not blank."""
    try:
        question = parse_json(json.dumps(body).encode(), AskRequest)
    except Problem as problem:
        outcome = problem.status, problem.code
    else:
        assert question.text == question.text.strip() != ""
        outcome = 202, "accepted"
    assert outcome in OUTCOMES
