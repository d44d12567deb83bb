"""Conversations with a running stack: their history survives kills, and their turns stay in order."""

import pytest

from support.services import ServiceProcesses

pytestmark = pytest.mark.redis


def conversation(services: ServiceProcesses, name: str = "kitchen") -> dict:
    return services.client.get(f"/conversations/{name}").json()


def test_history_survives_a_restart_of_everything(services, own_redis):
    """A turn after a kill of API, workers and Redis gets the first turn's history and language."""
    services.start()
    services.wait_until_ready()
    first = services.wait_until_ended(services.upload(conversation_id="kitchen", language="de"))
    assert first["status"] == "completed"
    for name in list(services.processes):
        services.kill(name)
    own_redis.kill()
    own_redis.start()
    services.start()
    services.wait_until_ready()

    second = services.wait_until_ended(services.ask("And now?", conversation_id="kitchen"))
    assert f"Before, you said: {first['transcript']}" in second["response"]
    assert (second["language"], second["conversation_id"]) == ("de", "kitchen")
    turns = conversation(services)["turns"]
    assert [(turn["job_id"], turn["user"], turn["assistant"]) for turn in turns] == [
        (job["job_id"], job["transcript"], job["response"]) for job in (first, second)
    ]


def test_killed_worker_leaves_one_answer_in_the_conversation(services):
    """A turn whose worker is killed is answered once, by another worker; the next turn's history has that answer."""
    services.start()
    services.wait_until_ready()
    services.delay("llm", 30)
    first = services.ask("one", conversation_id="kitchen")
    services.wait_until_started(first, "llm")
    services.start("llm-2")
    services.wait_until_ready(llm=2)
    services.delay("llm", 0)
    services.kill("llm")
    job = services.wait_until_ended(first)
    assert (job["status"], job["attempts"]["llm"]) == ("completed", 2)
    second = services.wait_until_ended(services.ask("two", conversation_id="kitchen"))
    assert second["response"].startswith("You said: two Before, you said: one This is")
    answers = [(turn["user"], turn["assistant"]) for turn in conversation(services)["turns"]]
    assert answers == [("one", job["response"]), ("two", second["response"])]


def test_turns_that_overlap_stay_in_order(services):
    """A second turn that is sent and answered before the first one's answer stays behind the first."""
    services.start("api", "llm", "llm-2", "stt", "tts")
    services.wait_until_ready(llm=2)
    services.delay("llm", 2)
    first = services.ask("one", conversation_id="kitchen")
    services.wait_until_started(first, "llm")
    services.delay("llm", 0)
    second = services.wait_until_ended(services.ask("two", conversation_id="kitchen"))
    assert services.status(first)["response"] is None
    assert [(turn["user"], turn["assistant"]) for turn in conversation(services)["turns"]] == [
        ("one", None),
        ("two", second["response"]),
    ]
    services.wait_until_ended(first)
    assert [turn["job_id"] for turn in conversation(services)["turns"]] == [first, second["job_id"]]


def test_late_answer_does_not_restore_a_deleted_turn_or_conversation(services):
    """An answer that ends after its job or its conversation was deleted is not stored."""
    services.start()
    services.wait_until_ready()
    services.delay("llm", 1)
    jobs = [services.ask(text, conversation_id=name) for text, name in (("a", "job"), ("b", "whole"), ("c", "kept"))]
    services.wait_until_started(jobs[2], "llm")
    assert services.client.delete(f"/jobs/{jobs[0]}").status_code == 204
    assert services.client.delete("/conversations/whole").status_code == 204
    assert [services.wait_until_ended(job_id)["status"] for job_id in jobs] == ["cancelled", "completed", "completed"]
    assert conversation(services, "job")["turns"] == []
    assert conversation(services, "whole")["code"] == "conversation_not_found"
    assert [turn["user"] for turn in conversation(services, "kept")["turns"]] == ["c"]
