"""The campaign's check finds each violated guarantee, and a seed repeats a run."""

import copy
import io
import wave
from collections.abc import Callable

import numpy as np
import pytest

from api.jobs.audio_formats import WAV_HEADER_BYTES
from chaos import content
from chaos.check_run import KINDS as FINDING_KINDS
from chaos.check_run import check_run
from chaos.load import Upload
from chaos.misbehaviors import Misbehavior, Misbehaviors, assign_misbehaviors
from chaos.observations import Observations
from chaos.schedule import KINDS, make_schedule
from chaos.streams import AudioResponse

JOB_ID = "a" * 32
NUMBER = 7


def wav_file(text: str) -> bytes:
    speech = content.speech_samples(text)
    samples = np.concatenate([speech[:100], np.zeros(2400, np.int16), speech[100:]])  # with a pause at any place
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(content.RATE_HZ)
        file.writeframes(samples.tobytes())
    return buffer.getvalue()


@pytest.fixture
def observed() -> Observations:
    """One job that completed without findings after its answer was restarted."""
    whole = wav_file(content.answer(NUMBER))
    duration_s = (len(whole) - WAV_HEADER_BYTES) / 2 / content.RATE_HZ
    payloads = [
        ("pending", {}),
        ("processing", {"stage": "stt", "attempt": 1}),
        ("stage_done", {"stage": "stt"}),
        ("processing", {"stage": "llm", "attempt": 1}),
        ("text", {"text": "This text is cut"}),
        ("processing", {"stage": "tts", "attempt": 1}),
        ("segment", {"index": 0, "duration_s": 1.0}),
        ("restarted", {"first": 2}),
        ("text", {"text": content.answer(NUMBER)[:9]}),
        ("segment", {"index": 3, "duration_s": duration_s / 4}),
        ("text", {"text": content.answer(NUMBER)[9:]}),
        ("stage_done", {"stage": "llm"}),
        ("segment", {"index": 2, "duration_s": duration_s * 3 / 4}),
        ("completed", {}),
    ]
    status = {
        "status": "completed",
        "transcript": content.transcript(NUMBER),
        "response": content.answer(NUMBER),
        "duration_s": duration_s,
    }
    events = [{"id": f"100-{10 * index}", "event": event} | data for index, (event, data) in enumerate(payloads)]
    upload = Upload(NUMBER, job_ids={JOB_ID}, final_statuses=[status])
    upload.audio_responses = [
        AudioResponse(0, b"of the first answer"),
        AudioResponse(19, b"of the second answer"),
        AudioResponse(0, whole, is_complete=True),
    ]
    upload.received_events = [("99-0", "processing"), *((event["id"], event["event"]) for event in events)]
    return Observations(
        uploads=[upload],
        statuses={JOB_ID: status},
        events={JOB_ID: events},
        audio={JOB_ID: whole},
        job_ids={JOB_ID},
        files=[f"input/{JOB_ID}", f"output/{JOB_ID}_response.wav"],
    )


def fail_job(observed: Observations, code: str) -> None:
    """Change the observations to those of a failed job."""
    observed.statuses[JOB_ID] = {"status": "failed", "error": {"code": code}}
    observed.uploads[0].final_statuses = [observed.statuses[JOB_ID]]
    observed.events[JOB_ID][-1]["event"] = "failed"
    observed.uploads[0].audio_responses = []
    observed.uploads[0].received_events = None
    observed.statuses[JOB_ID]["response"] = content.answer(NUMBER)
    observed.files.pop()


def without_restart(observed: Observations) -> Observations:
    """Change the observations to those of an answer that was not restarted, and return them."""
    for position in (7, 6, 4):
        del observed.events[JOB_ID][position]
    for event in observed.events[JOB_ID]:
        if event["event"] == "segment":
            event["index"] -= 2
    observed.uploads[0].audio_responses = []
    observed.uploads[0].received_events = None
    return observed


def test_run_without_violations_has_no_findings(observed):
    """A job that completed, one whose engine made it fail, and one whose workers were killed too often are correct."""
    assert check_run(observed) == []
    assert check_run(without_restart(copy.deepcopy(observed))) == []
    fail_job(observed, "worker_died")
    observed.files.append(f"work/{JOB_ID}/0000.wav")
    assert check_run(observed) == []
    observed.misbehaviors[NUMBER] = Misbehavior("stt", "raises", frozenset({"engine_failed"}))
    observed.statuses[JOB_ID]["error"]["code"] = "engine_failed"
    assert check_run(observed) == []


@pytest.mark.parametrize(
    ("kind", "violate"),
    [
        ("lost", lambda observed: observed.statuses[JOB_ID].update(status="processing")),
        ("lost", lambda observed: observed.statuses.update({JOB_ID: {"status": "lost"}})),
        ("lost", lambda observed: observed.events[JOB_ID].pop()),
        ("duplicated", lambda observed: observed.events[JOB_ID].append({"id": "101-0", "event": "completed"})),
        (
            "duplicated",
            lambda observed: observed.events[JOB_ID].insert(-1, observed.events[JOB_ID][9] | {"id": "100-125"}),
        ),
        ("duplicated", lambda observed: observed.job_ids.add("b" * 32)),
        ("duplicated", lambda observed: observed.uploads[0].final_statuses.append({"status": "failed"})),
        ("wrong answer", lambda observed: observed.audio.update({JOB_ID: wav_file(content.answer(NUMBER + 1))})),
        ("wrong answer", lambda observed: observed.audio.update({JOB_ID: observed.audio[JOB_ID][:-2]})),
        ("wrong answer", lambda observed: observed.audio.update({JOB_ID: None})),
        ("wrong answer", lambda observed: observed.statuses[JOB_ID].update(response="")),
        ("wrong answer", lambda observed: observed.statuses[JOB_ID].update(transcript=content.transcript(8))),
        ("wrong failure", lambda observed: fail_job(observed, "engine_failed")),
        ("left over", lambda observed: observed.tasks.update(delayed=[f"stt:{JOB_ID}"])),
        ("left over", lambda observed: observed.unfinished.add(JOB_ID)),
        ("orphaned", lambda observed: observed.files.pop()),
        ("orphaned", lambda observed: observed.files.append(f"work/{JOB_ID}/0000.wav")),
        ("orphaned", lambda observed: observed.partial_files.append("input/.x.part")),
        ("out of order", lambda observed: observed.events[JOB_ID].insert(6, observed.events[JOB_ID].pop(1))),
        (
            "out of order",
            lambda observed: observed.events[JOB_ID].append({"id": "101-0", "event": "processing", "stage": "tts"}),
        ),
        ("out of order", lambda observed: observed.events[JOB_ID][-2].update(index=1)),
        ("out of order", lambda observed: observed.events[JOB_ID][7].update(first=0)),
        (
            "out of order",
            lambda observed: observed.events[JOB_ID].insert(-1, {"id": "100-125", "event": "text", "text": "late"}),
        ),
        (
            "out of order",
            lambda observed: observed.events[JOB_ID].insert(-1, {"id": "100-125", "event": "retrying", "stage": "llm"}),
        ),
        ("wrong answer", lambda observed: observed.events[JOB_ID].pop(8)),
        ("wrong answer", lambda observed: observed.events[JOB_ID].pop(9)),
        ("wrong answer", lambda observed: observed.events[JOB_ID][-2].update(index=4)),
        ("wrong answer", lambda observed: observed.events[JOB_ID][-2].update(duration_s=0.5)),
        (
            "wrong answer",
            lambda observed: observed.uploads[0].audio_responses.append(
                AudioResponse(0, observed.audio[JOB_ID][:-2], is_complete=True)
            ),
        ),
        (
            "wrong answer",
            lambda observed: observed.uploads[0].audio_responses.append(AudioResponse(0, observed.audio[JOB_ID])),
        ),
        (
            "wrong answer",
            lambda observed: (
                without_restart(observed)
                .uploads[0]
                .audio_responses.append(AudioResponse(50, b"other bytes", is_complete=True))
            ),
        ),
        ("lost", lambda observed: observed.uploads[0].received_events.pop(3)),
        (
            "lost",
            lambda observed: observed.uploads[0].received_events.append(observed.uploads[0].received_events.pop(3)),
        ),
        ("process failure", lambda observed: observed.process_failures.append("stt exited with 1")),
        ("wrong refusal", lambda observed: observed.wrong_refusals.append("queue_full: got 500")),
    ],
)
def test_violated_guarantee_is_a_finding(observed, kind: str, violate: Callable[[Observations], object]):
    """Each violation in the observations leads to a finding of its kind."""
    violate(observed)
    assert kind in {finding.kind for finding in check_run(observed)}
    assert kind in FINDING_KINDS


def test_seed_repeats_a_run():
    """Equal seeds give equal faults and misbehaviors, and each kind of fault occurs."""
    assert make_schedule(5, 40, 60) == make_schedule(5, 40, 60) != make_schedule(6, 40, 60)
    assert {fault.kind for fault in make_schedule(5, len(KINDS), 60)} == KINDS.keys()
    assert {fault.kind for fault in make_schedule(5, 40, 60, ["fill_disk"])} == KINDS.keys() - {"fill_disk"}
    assert assign_misbehaviors(5, 60) == assign_misbehaviors(5, 60) != assign_misbehaviors(6, 60)


def test_transient_misbehavior_occurs_once(tmp_path):
    """A transient misbehavior occurs once, also if the process is restarted; a permanent one occurs at each attempt."""
    for number, misbehavior in assign_misbehaviors(5, 60).items():
        first, second = (Misbehaviors(5, 60, tmp_path).take(misbehavior.stage, number) for _ in range(2))
        assert (first, second) == (misbehavior.kind, misbehavior.kind if misbehavior.codes else None)
