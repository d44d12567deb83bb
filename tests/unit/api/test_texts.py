"""Texts instead of recordings, and routes that end early."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.intake.json_body import MAX_BYTES, PROBLEMS, read_json
from api.problems.render import Problem
from api.routes.texts import MAX_QUESTION_CHARS, MAX_SPEECH_CHARS, Question
from shared.queue.messages import Claim, QueueStats
from shared.queue.queue import Queue
from shared.queue.stages import Stage

Send = Callable[..., Awaitable[httpx.Response]]
ClaimNext = Callable[[Stage], Awaitable[Claim]]


@pytest.fixture
def post(client: httpx.AsyncClient) -> Send:
    """Posts a body to /ask or /speak."""

    async def post(path: str, body: Any, key: str = "") -> httpx.Response:
        return await client.post(path, json=body, headers={"Idempotency-Key": key} if key else {})

    return post


async def test_a_question_becomes_a_job_for_the_language_model(
    post: Send, client: httpx.AsyncClient, claim: ClaimNext
) -> None:
    """Its text stands where a transcript would, and all that was given goes with it."""
    body = {"text": " So? ", "language": "de", "voice": "anna", "system_prompt": "Be brief.", "conversation_id": "c"}
    answer = await post("/ask", body)
    accepted = answer.json()
    job_id = accepted["job_id"]
    assert (answer.status_code, answer.headers["location"]) == (202, f"/status/{job_id}")
    assert (accepted["audio_url"], accepted["events_url"]) == (f"/audio/{job_id}", f"/events/{job_id}")
    job = (await client.get(f"/status/{job_id}")).json()
    assert (job["route"], job["stage"], job["status"]) == ("llm,tts", "llm", "pending")
    assert (job["transcript"], job["language"], job["conversation_id"]) == ("So?", "de", "c")
    claimed = await claim("llm")
    assert claimed.task == f"llm:{job_id}"
    assert (claimed.fields["voice"], claimed.fields["system_prompt"]) == ("anna", "Be brief.")


async def test_a_text_becomes_a_job_for_the_voice(post: Send, client: httpx.AsyncClient, claim: ClaimNext) -> None:
    """Its text stands where an answer would."""
    job_id = (await post("/speak", {"text": "Dinner.", "language": "", "voice": None})).json()["job_id"]
    job = (await client.get(f"/status/{job_id}")).json()
    assert (job["route"], job["stage"], job["response"], job["language"]) == ("tts", "tts", "Dinner.", None)
    claimed = await claim("tts")
    assert (claimed.task, claimed.part, "voice" in claimed.fields) == (f"tts:{job_id}", None, False)


REFUSED = {
    "nothing": ({}, 422, "empty_text"),
    "an empty text": ({"text": ""}, 422, "empty_text"),
    "blanks": ({"text": " \n\t\u3000"}, 422, "empty_text"),
    "what only some call a blank": ({"text": "\x1d\x85\ufeff"}, 422, "empty_text"),
    "a number": ({"text": 5}, 422, "invalid_field"),
    "null": ({"text": None}, 422, "invalid_field"),
    "a list": (["text"], 422, "unexpected_field"),
    "an unknown field": ({"text": "So?", "speed": 2}, 422, "unexpected_field"),
    "no language": ({"text": "So?", "language": "german!"}, 422, "invalid_field"),
    "a voice that is a path": ({"text": "So?", "voice": "../../etc"}, 422, "invalid_field"),
}


@pytest.mark.parametrize("body", REFUSED)
@pytest.mark.parametrize("path", ["/ask", "/speak"])
async def test_a_bad_body_is_refused_and_told_why(post: Send, path: str, body: str, fake_queue: Queue) -> None:
    """Each with a stable code and what to do, and no job is made of it."""
    content, status, code = REFUSED[body]
    answer = await post(path, content)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"
    assert (await fake_queue.stats()).live == 0


@pytest.mark.parametrize(("path", "limit"), [("/ask", MAX_QUESTION_CHARS), ("/speak", MAX_SPEECH_CHARS)])
async def test_a_text_may_be_so_long(post: Send, path: str, limit: int) -> None:
    """In characters, whatever they take as bytes; the refusal names the limit."""
    assert (await post(path, {"text": "🙂" * limit})).status_code == 202
    answer = await post(path, {"text": "x" * (limit + 1)})
    assert (answer.status_code, answer.json()["code"]) == (422, "text_too_long")
    assert f"{limit:,} characters" in answer.json()["detail"]


@pytest.mark.parametrize("field", ["system_prompt", "conversation_id"])
async def test_a_text_that_is_only_spoken_takes_no_prompt(post: Send, field: str) -> None:
    """It would do nothing; whoever sends it means /ask."""
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
async def test_a_body_that_is_no_json_is_refused(
    client: httpx.AsyncClient, content: bytes, kind: str, status: int, code: str
) -> None:
    """Whatever comes, nothing breaks, and nothing is read past its limit."""
    answer = await client.post("/ask", content=content, headers={"Content-Type": kind})
    assert (answer.status_code, answer.json()["code"]) == (status, code)


async def test_a_body_without_a_length_has_the_same_limit(client: httpx.AsyncClient) -> None:
    """A caller who does not say how much will come is stopped where it is too much."""

    async def body():
        for _ in range(3):
            yield b" " * (MAX_BYTES // 2)

    answer = await client.post("/ask", content=body(), headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")


async def test_a_media_type_may_have_parameters(client: httpx.AsyncClient) -> None:
    """As some clients send it."""
    headers = {"Content-Type": "Application/JSON; charset=utf-8"}
    assert (await client.post("/ask", content='{"text": "So?"}', headers=headers)).status_code == 202


@pytest.mark.parametrize("path", ["/ask", "/speak"])
async def test_a_repeated_text_returns_the_first_job(post: Send, path: str, fake_queue: Queue) -> None:
    """The same key with the same text is the same job; with anything else it is refused."""
    first, second = await post(path, {"text": "So?"}, "one"), await post(path, {"text": "So? "}, "one")
    assert (second.status_code, second.json()) == (202, first.json())
    assert (await fake_queue.stats()).live == 1
    for where, body in ((path, {"text": "No."}), ("/speak" if path == "/ask" else "/ask", {"text": "So?"})):
        answer = await post(where, body, "one")
        assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")


@pytest.mark.parametrize("path", ["/ask", "/speak"])
async def test_a_text_finds_no_room_either(
    client: httpx.AsyncClient, path: str, fake_queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The limit of live jobs holds for every route, and before the body is read."""

    async def load() -> QueueStats:
        return QueueStats(live=1000, ended_per_s=10, memory_full=False)

    monkeypatch.setattr(fake_queue, "stats", load)
    answer = await client.post(path)
    assert (answer.status_code, answer.json()["code"], answer.headers["retry-after"]) == (503, "queue_full", "10")


async def test_a_failed_text_is_tried_again_without_a_recording(
    post: Send, client: httpx.AsyncClient, claim: ClaimNext, fake_queue: Queue
) -> None:
    """There never was one."""
    job_id = (await post("/ask", {"text": "So?"})).json()["job_id"]
    await fake_queue.dead_letter("worker", await claim("llm"), "model_refused", "No.")
    assert (await client.get(f"/dead-letters/{job_id}")).json()[0]["stage"] == "llm"
    assert (await client.post(f"/jobs/{job_id}/retry")).status_code == 202
    assert (await claim("llm")).fields["transcript"] == "So?"


@pytest.mark.parametrize(("route", "stages"), [("stt", ["stt"]), ("stt,llm", ["stt", "llm"])])
async def test_a_recording_may_want_text_alone(
    client: httpx.AsyncClient, wav: bytes, fake_queue: Queue, route: str, stages: list[str]
) -> None:
    """The job carries its route, and there is no audio to fetch, now or later."""
    answer = await client.post("/transcribe", params={"route": route}, files={"audio_file": ("a", wav)})
    accepted = answer.json()
    assert (answer.status_code, accepted["audio_url"]) == (202, None)
    assert "audio_url" not in accepted["message"]
    assert (await fake_queue.fields(accepted["job_id"]))["route"] == ",".join(stages)
    audio = await client.get(f"/audio/{accepted['job_id']}")
    assert (audio.status_code, audio.json()["code"]) == (410, "no_audio")


@pytest.mark.parametrize("route", ["", "tts", "llm,tts", "stt,tts", "stt,llm,tts,", "STT"])
async def test_an_unknown_route_is_refused(client: httpx.AsyncClient, wav: bytes, route: str) -> None:
    """With those that there are."""
    answer = await client.post("/transcribe", params={"route": route}, files={"audio_file": ("a", wav)})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert "'stt', 'stt,llm' or 'stt,llm,tts'" in answer.json()["detail"]


async def test_a_route_is_part_of_what_is_repeated(client: httpx.AsyncClient, wav: bytes) -> None:
    """The same recording on another route is another request."""
    headers = {"Idempotency-Key": "one"}
    for route, status in (("stt", 202), ("stt", 202), ("stt,llm", 422)):
        form = {"audio_file": ("a", wav)}
        answer = await client.post("/transcribe", params={"route": route}, files=form, headers=headers)
        assert answer.status_code == status


OUTCOMES = {(202, "accepted"), *((status, code) for status, code, _ in PROBLEMS)}

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
def test_any_body_is_a_question_or_refused(body: Any) -> None:
    """With a code that is documented; what passes has a text with a word in it."""
    try:
        question = read_json(json.dumps(body).encode(), Question)
    except Problem as problem:
        told = problem.status, problem.code
    else:
        assert question.text == question.text.strip() != ""
        told = 202, "accepted"
    assert told in OUTCOMES
