"""The campaign's own conscience: each broken promise is found, and a run can be replayed."""

import copy
import io
import wave
from collections.abc import Callable

import numpy as np
import pytest

from chaos import content, orders
from chaos.checker import PROMISES, check
from chaos.evidence import Evidence
from chaos.listeners import Heard
from chaos.load import Call
from chaos.schedule import KINDS, make_schedule

JOB = "a" * 32
NUMBER = 7


def audio(text: str) -> bytes:
    sound = content.sound(text)
    samples = np.concatenate([sound[:100], np.zeros(2400, np.int16), sound[100:]])  # a pause, wherever it falls
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(content.RATE_HZ)
        file.writeframes(samples.tobytes())
    return buffer.getvalue()


@pytest.fixture
def seen() -> Evidence:
    """One job that went as it should, although its answer was begun anew."""
    whole = audio(content.answer(NUMBER))
    length_s = (len(whole) - 44) / 2 / content.RATE_HZ
    told = [
        ("pending", {}),
        ("processing", {"stage": "stt", "attempt": 1}),
        ("stage_done", {"stage": "stt"}),
        ("processing", {"stage": "llm", "attempt": 1}),
        ("text", {"text": "I am cut"}),
        ("processing", {"stage": "tts", "attempt": 1}),
        ("segment", {"index": 0, "duration_s": 1.0}),
        ("restarted", {"first": 2}),
        ("text", {"text": content.answer(NUMBER)[:9]}),
        ("segment", {"index": 3, "duration_s": length_s / 4}),
        ("text", {"text": content.answer(NUMBER)[9:]}),
        ("stage_done", {"stage": "llm"}),
        ("segment", {"index": 2, "duration_s": length_s * 3 / 4}),
        ("completed", {}),
    ]
    status = {
        "status": "completed",
        "transcript": content.transcript(NUMBER),
        "response": content.answer(NUMBER),
        "duration_s": length_s,
    }
    events = [{"id": f"100-{10 * index}", "event": event} | data for index, (event, data) in enumerate(told)]
    call = Call(NUMBER, job_ids={JOB}, ends=[status])
    call.heard = [Heard(0, b"what was said first"), Heard(19, b"what does not fit"), Heard(0, whole, is_whole=True)]
    call.told = [("99-0", "processing"), *((event["id"], event["event"]) for event in events)]
    return Evidence(
        calls=[call],
        statuses={JOB: status},
        events={JOB: events},
        audio={JOB: whole},
        known={JOB},
        files=[f"input/{JOB}", f"output/{JOB}_response.wav"],
    )


def fails(seen: Evidence, code: str) -> None:
    seen.statuses[JOB] = {"status": "failed", "error": {"code": code}}
    seen.calls[0].ends = [seen.statuses[JOB]]
    seen.events[JOB][-1]["event"] = "failed"
    seen.calls[0].heard, seen.calls[0].told = [], None
    seen.statuses[JOB]["response"] = content.answer(NUMBER)
    seen.files.pop()


def without_restart(seen: Evidence) -> Evidence:
    """As if the answer had come to its end at once."""
    for place in (7, 6, 4):
        del seen.events[JOB][place]
    for event in seen.events[JOB]:
        if event["event"] == "segment":
            event["index"] -= 2
    seen.calls[0].heard, seen.calls[0].told = [], None
    return seen


def test_a_good_run_has_no_findings(seen):
    """Neither has a job that failed as it was ordered to, or one that was set aside."""
    assert check(seen) == []
    assert check(without_restart(copy.deepcopy(seen))) == []
    fails(seen, "worker_died")
    seen.files.append(f"work/{JOB}/0000.wav")
    assert check(seen) == []
    seen.orders[NUMBER] = orders.Order("stt", "raises", frozenset({"engine_failed"}))
    seen.statuses[JOB]["error"]["code"] = "engine_failed"
    assert check(seen) == []


@pytest.mark.parametrize(
    ("promise", "spoil"),
    [
        ("lost", lambda seen: seen.statuses[JOB].update(status="processing")),
        ("lost", lambda seen: seen.statuses.update({JOB: {"status": "lost"}})),
        ("lost", lambda seen: seen.events[JOB].pop()),
        ("duplicated", lambda seen: seen.events[JOB].append({"id": "101-0", "event": "completed"})),
        ("duplicated", lambda seen: seen.events[JOB].insert(-1, seen.events[JOB][9] | {"id": "100-125"})),
        ("duplicated", lambda seen: seen.known.add("b" * 32)),
        ("duplicated", lambda seen: seen.calls[0].ends.append({"status": "failed"})),
        ("wrong answer", lambda seen: seen.audio.update({JOB: audio(content.answer(NUMBER + 1))})),
        ("wrong answer", lambda seen: seen.audio.update({JOB: seen.audio[JOB][:-2]})),
        ("wrong answer", lambda seen: seen.audio.update({JOB: None})),
        ("wrong answer", lambda seen: seen.statuses[JOB].update(response="")),
        ("wrong answer", lambda seen: seen.statuses[JOB].update(transcript=content.transcript(8))),
        ("wrong failure", lambda seen: fails(seen, "engine_failed")),
        ("left over", lambda seen: seen.tasks.update(delayed=[f"stt:{JOB}"])),
        ("left over", lambda seen: seen.open.add(JOB)),
        ("orphan", lambda seen: seen.files.pop()),
        ("orphan", lambda seen: seen.files.append(f"work/{JOB}/0000.wav")),
        ("orphan", lambda seen: seen.partial.append("input/.x.part")),
        ("backwards", lambda seen: seen.events[JOB].insert(6, seen.events[JOB].pop(1))),
        ("backwards", lambda seen: seen.events[JOB].append({"id": "101-0", "event": "processing", "stage": "tts"})),
        ("backwards", lambda seen: seen.events[JOB][-2].update(index=1)),
        ("backwards", lambda seen: seen.events[JOB][7].update(first=0)),
        ("backwards", lambda seen: seen.events[JOB].insert(-1, {"id": "100-125", "event": "text", "text": "late"})),
        ("backwards", lambda seen: seen.events[JOB].insert(-1, {"id": "100-125", "event": "retrying", "stage": "llm"})),
        ("wrong answer", lambda seen: seen.events[JOB].pop(8)),
        ("wrong answer", lambda seen: seen.events[JOB].pop(9)),
        ("wrong answer", lambda seen: seen.events[JOB][-2].update(index=4)),
        ("wrong answer", lambda seen: seen.events[JOB][-2].update(duration_s=0.5)),
        ("wrong answer", lambda seen: seen.calls[0].heard.append(Heard(0, seen.audio[JOB][:-2], is_whole=True))),
        ("wrong answer", lambda seen: seen.calls[0].heard.append(Heard(0, seen.audio[JOB]))),
        ("wrong answer", lambda seen: without_restart(seen).calls[0].heard.append(Heard(50, b"others", is_whole=True))),
        ("lost", lambda seen: seen.calls[0].told.pop(3)),
        ("lost", lambda seen: seen.calls[0].told.append(seen.calls[0].told.pop(3))),
        ("died", lambda seen: seen.deaths.append("stt ended with 1")),
        ("wrong refusal", lambda seen: seen.wrong_answers.append("queue_full: got 500")),
    ],
)
def test_a_broken_promise_is_found(seen, promise: str, spoil: Callable[[Evidence], object]):
    """Whatever is wrong with the evidence has its name."""
    spoil(seen)
    assert promise in {finding.promise for finding in check(seen)}
    assert promise in PROMISES


def test_a_seed_replays_a_run():
    """It decides faults and orders, and each kind has its turn."""
    assert make_schedule(5, 40, 60) == make_schedule(5, 40, 60) != make_schedule(6, 40, 60)
    assert {fault.kind for fault in make_schedule(5, len(KINDS), 60)} == KINDS.keys()
    assert {fault.kind for fault in make_schedule(5, 40, 60, ["fill_disk"])} == KINDS.keys() - {"fill_disk"}
    assert orders.deal(5, 60) == orders.deal(5, 60) != orders.deal(6, 60)


def test_an_order_that_passes_is_carried_out_once(tmp_path):
    """Also by a process that knows nothing of the one before it; one that does not pass, each time."""
    dealt = orders.deal(5, 60)
    for number, order in dealt.items():
        first, second = (orders.Orders(5, 60, tmp_path).due(order.stage, number) for _ in range(2))
        assert (first, second) == (order.kind, order.kind if order.codes else None)
