"""Reading and deleting conversations."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from api.settings import ApiSettings
from shared.queue.messages import Claim
from shared.queue.queue import Queue
from shared.queue.stages import Stage, task_name

Send = Callable[..., Awaitable[httpx.Response]]
RunTask = Callable[..., Awaitable[Claim]]


async def test_a_conversation_shows_its_turns(
    client: httpx.AsyncClient, upload: Send, run_task: RunTask, settings: ApiSettings
) -> None:
    """A conversation lists its turns in the order in which they were sent, and when it expires."""
    first = (await upload(conversation_id="kitchen")).json()["job_id"]
    await run_task("stt", {"transcript": "What is it?", "language": "en"}, [(task_name("llm", first), "")])
    await run_task("llm", {"response": "It is so."}, [(task_name("tts", first), "")])
    second = (await client.post("/ask", json={"text": "Why?", "conversation_id": "kitchen"})).json()["job_id"]
    conversation = (await client.get("/conversations/kitchen")).json()
    times = [datetime.fromisoformat(turn.pop("at")) for turn in conversation["turns"]]
    assert times[0] <= times[1] <= datetime.now(UTC) + timedelta(minutes=1)
    assert conversation.pop("expires_in_s") == pytest.approx(settings.conversation_ttl_hours * 3600, abs=5)
    assert conversation == {
        "conversation_id": "kitchen",
        "language": "en",
        "voice": None,
        "turns": [
            {"job_id": first, "user": "What is it?", "assistant": "It is so."},
            {"job_id": second, "user": "Why?", "assistant": None},
        ],
    }
    assert (await client.get(f"/status/{second}")).json()["conversation_id"] == "kitchen"


async def test_a_language_holds_for_the_following_turns(upload: Send, fake_queue: Queue, run_task: RunTask) -> None:
    """A turn that names no language is transcribed in the language of the turn before."""
    first = (await upload(conversation_id="kitchen", language="de")).json()["job_id"]
    assert (await fake_queue.fields(first))["language_hint"] == "de"
    await run_task("stt", {"transcript": "Was?", "language": "de"}, [(task_name("llm", first), "")])
    second = (await upload(conversation_id="kitchen")).json()["job_id"]
    assert (await fake_queue.fields(second))["language_hint"] == "de"


@pytest.mark.parametrize("name", ["a b", "a" * 65, "a/b", "../x", "ä", "%00", "*"])
async def test_an_invalid_conversation_id_is_refused(client: httpx.AsyncClient, upload: Send, name: str) -> None:
    """An invalid conversation id is 422 when a turn is sent, and 404 when the conversation is read or deleted."""
    response = await upload(conversation_id=name)
    assert (response.status_code, response.json()["code"]) == (422, "invalid_field")
    response = await client.post("/ask", json={"text": "So?", "conversation_id": name})
    assert (response.status_code, response.json()["code"]) == (422, "invalid_field")
    for method in ("GET", "DELETE"):
        response = await client.request(method, f"/conversations/{name}")
        assert response.status_code == 404


@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_an_unknown_conversation_is_not_found(client: httpx.AsyncClient, method: str) -> None:
    """Reading or deleting an unknown conversation is 404 with a code."""
    response = await client.request(method, "/conversations/nowhere")
    assert (response.status_code, response.json()["code"]) == (404, "conversation_not_found")


async def test_a_deleted_conversation_stays_deleted(
    client: httpx.AsyncClient, run_task: RunTask, claim: Callable[[Stage], Awaitable[Claim]]
) -> None:
    """A job that was running when its conversation was deleted keeps its own texts, and does not bring the conversation
    back."""
    job_id = (await client.post("/ask", json={"text": "So?", "conversation_id": "kitchen"})).json()["job_id"]
    assert (await client.delete("/conversations/kitchen")).status_code == 204
    await run_task("llm", {"response": "It is so."}, [(task_name("tts", job_id), "")])
    assert (await client.get(f"/status/{job_id}")).json()["response"] == "It is so."
    assert (await client.get("/conversations/kitchen")).status_code == 404
    assert (await client.delete("/conversations/kitchen")).status_code == 404


@pytest.mark.parametrize("has_ended", [False, True])
async def test_a_deleted_job_leaves_the_conversation(
    client: httpx.AsyncClient, run_task: RunTask, has_ended: bool
) -> None:
    """A deleted job's question and answer are erased from its conversation, whether the job had ended or not."""
    body = {"text": "So?", "conversation_id": "kitchen"}
    job_id = (await client.post("/ask", json=body)).json()["job_id"]
    if has_ended:
        await run_task("llm", {"response": "It is so."})
    assert (await client.delete(f"/jobs/{job_id}")).status_code == 204
    assert (await client.get("/conversations/kitchen")).json()["turns"] == []
