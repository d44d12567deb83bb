"""Looking at conversations, and forgetting them."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from api.settings import ApiSettings
from shared.queue.messages import Claim
from shared.queue.queue import Queue
from shared.queue.stages import Stage, task_name

Send = Callable[..., Awaitable[httpx.Response]]
Work = Callable[..., Awaitable[Claim]]


async def test_a_conversation_shows_its_turns(
    client: httpx.AsyncClient, upload: Send, work: Work, settings: ApiSettings
) -> None:
    """Spoken and written ones, in the order in which they were sent, and for how long it is remembered."""
    first = (await upload(conversation_id="kitchen")).json()["job_id"]
    await work("stt", {"transcript": "What is it?", "language": "en"}, [(task_name("llm", first), "")])
    await work("llm", {"response": "It is so."}, [(task_name("tts", first), "")])
    second = (await client.post("/ask", json={"text": "Why?", "conversation_id": "kitchen"})).json()["job_id"]
    told = (await client.get("/conversations/kitchen")).json()
    times = [datetime.fromisoformat(turn.pop("at")) for turn in told["turns"]]
    assert times[0] <= times[1] <= datetime.now(UTC) + timedelta(minutes=1)
    assert told.pop("expires_in_s") == pytest.approx(settings.conversation_ttl_hours * 3600, abs=5)
    assert told == {
        "conversation_id": "kitchen",
        "language": "en",
        "voice": None,
        "turns": [
            {"job_id": first, "user": "What is it?", "assistant": "It is so."},
            {"job_id": second, "user": "Why?", "assistant": None},
        ],
    }
    assert (await client.get(f"/status/{second}")).json()["conversation_id"] == "kitchen"


async def test_the_form_names_a_language_for_the_recognizer(upload: Send, fake_queue: Queue, work: Work) -> None:
    """And the next turn, which names none, has it too."""
    first = (await upload(conversation_id="kitchen", language="de")).json()["job_id"]
    assert (await fake_queue.fields(first))["language_hint"] == "de"
    await work("stt", {"transcript": "Was?", "language": "de"}, [(task_name("llm", first), "")])
    second = (await upload(conversation_id="kitchen")).json()["job_id"]
    assert (await fake_queue.fields(second))["language_hint"] == "de"


@pytest.mark.parametrize("name", ["a b", "a" * 65, "a/b", "../x", "ä", "%00", "*"])
async def test_a_conversation_has_a_plain_name(client: httpx.AsyncClient, upload: Send, name: str) -> None:
    """Anything else is refused where a turn is sent, and not there where it is asked for."""
    answer = await upload(conversation_id=name)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_field")
    answer = await client.post("/ask", json={"text": "So?", "conversation_id": name})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_field")
    for method in ("GET", "DELETE"):
        answer = await client.request(method, f"/conversations/{name}")
        assert answer.status_code == 404


@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_an_unknown_conversation_is_not_found(client: httpx.AsyncClient, method: str) -> None:
    """A problem says so, with its code."""
    answer = await client.request(method, "/conversations/nowhere")
    assert (answer.status_code, answer.json()["code"]) == (404, "conversation_not_found")


async def test_a_forgotten_conversation_stays_forgotten(
    client: httpx.AsyncClient, work: Work, claim: Callable[[Stage], Awaitable[Claim]]
) -> None:
    """The job that was under way goes on and keeps its own text, which nobody remembers."""
    job_id = (await client.post("/ask", json={"text": "So?", "conversation_id": "kitchen"})).json()["job_id"]
    assert (await client.delete("/conversations/kitchen")).status_code == 204
    await work("llm", {"response": "It is so."}, [(task_name("tts", job_id), "")])
    assert (await client.get(f"/status/{job_id}")).json()["response"] == "It is so."
    assert (await client.get("/conversations/kitchen")).status_code == 404
    assert (await client.delete("/conversations/kitchen")).status_code == 404


@pytest.mark.parametrize("ended", [False, True])
async def test_a_deleted_job_leaves_the_conversation(client: httpx.AsyncClient, work: Work, ended: bool) -> None:
    """Its question and its answer are erased there as well, whether it had ended or not."""
    body = {"text": "So?", "conversation_id": "kitchen"}
    job_id = (await client.post("/ask", json=body)).json()["job_id"]
    if ended:
        await work("llm", {"response": "It is so."})
    assert (await client.delete(f"/jobs/{job_id}")).status_code == 204
    assert (await client.get("/conversations/kitchen")).json()["turns"] == []
