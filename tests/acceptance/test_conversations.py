"""Conversations as their user has them: across kills of anything, and in order."""

import pytest

from support.services import ServiceProcesses

pytestmark = pytest.mark.redis


def ask(services: ServiceProcesses, text: str, **fields: str) -> str:
    answer = services.client.post("/ask", json={"text": text} | fields)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["job_id"])


def conversation(services: ServiceProcesses, name: str = "kitchen") -> dict:
    return services.client.get(f"/conversations/{name}").json()


def test_a_second_turn_knows_the_first_across_a_restart_of_everything(services, own_redis):
    """API, workers and Redis are killed in between; the language that was heard is remembered too."""
    services.start()
    services.wait_until_ready()
    first = services.ended(services.upload(conversation_id="kitchen", language="de"))
    assert first["status"] == "completed"
    for name in list(services.processes):
        services.kill(name)
    own_redis.kill()
    own_redis.start()
    services.start()
    services.wait_until_ready()

    second = services.ended(ask(services, "And now?", conversation_id="kitchen"))
    assert f"Before, you said: {first['transcript']}" in second["response"]
    assert (second["language"], second["conversation_id"]) == ("de", "kitchen")
    told = conversation(services)
    assert [(turn["job_id"], turn["user"], turn["assistant"]) for turn in told["turns"]] == [
        (job["job_id"], job["transcript"], job["response"]) for job in (first, second)
    ]


def test_a_killed_worker_leaves_one_answer_in_the_conversation(services):
    """The turn is answered by another worker, once, and the next turn is told that answer."""
    services.start()
    services.wait_until_ready()
    services.delay("llm", 30)
    first = ask(services, "one", conversation_id="kitchen")
    services.until_working(first, "llm")
    services.start("llm-2")
    services.wait_until_ready(llm=2)
    services.delay("llm", 0)
    services.kill("llm")
    job = services.ended(first)
    assert (job["status"], job["attempts"]["llm"]) == ("completed", 2)
    second = services.ended(ask(services, "two", conversation_id="kitchen"))
    assert second["response"].startswith("You said: two Before, you said: one This is")
    answers = [(turn["user"], turn["assistant"]) for turn in conversation(services)["turns"]]
    assert answers == [("one", job["response"]), ("two", second["response"])]


def test_turns_that_overlap_stay_in_order(services):
    """The second is sent before the first is answered, and answered before it."""
    services.start("api", "llm", "llm-2", "stt", "tts")
    services.wait_until_ready(llm=2)
    services.delay("llm", 2)
    first = ask(services, "one", conversation_id="kitchen")
    services.until_working(first, "llm")
    services.delay("llm", 0)
    second = services.ended(ask(services, "two", conversation_id="kitchen"))
    assert services.status(first)["response"] is None
    assert [(turn["user"], turn["assistant"]) for turn in conversation(services)["turns"]] == [
        ("one", None),
        ("two", second["response"]),
    ]
    services.ended(first)
    assert [turn["job_id"] for turn in conversation(services)["turns"]] == [first, second["job_id"]]


def test_what_is_deleted_while_it_is_answered_is_not_remembered(services):
    """Neither a job's turn nor a whole conversation comes back with a late answer."""
    services.start()
    services.wait_until_ready()
    services.delay("llm", 1)
    jobs = [ask(services, text, conversation_id=name) for text, name in (("a", "job"), ("b", "whole"), ("c", "kept"))]
    services.until_working(jobs[2], "llm")
    assert services.client.delete(f"/jobs/{jobs[0]}").status_code == 204
    assert services.client.delete("/conversations/whole").status_code == 204
    assert [services.ended(job_id)["status"] for job_id in jobs] == ["cancelled", "completed", "completed"]
    assert conversation(services, "job")["turns"] == []
    assert conversation(services, "whole")["code"] == "conversation_not_found"
    assert [turn["user"] for turn in conversation(services, "kept")["turns"]] == ["c"]
