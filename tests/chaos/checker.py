"""The promise, taken apart: what must be true of the evidence, whatever was done to the stack."""

import io
import wave
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from chaos import content, stream
from chaos.evidence import Evidence
from chaos.load import Call

#: How a job may fail that has met no misbehaving engine: when its workers were killed too often, by chance.
SET_ASIDE = "worker_died"

#: What a client may hear instead of 202 while the API, Redis or the disk is away.
REFUSALS = {"no_answer", "queue_unavailable", "queue_memory_full", "storage_full"}


@dataclass(frozen=True)
class Finding:
    """A promise that was broken."""

    promise: str
    subject: str
    detail: str


PROMISES = {
    "lost": "accepted jobs that did not end",
    "duplicated": "jobs, ends or segments that came twice",
    "wrong answer": "completed jobs with anything but their own whole answer",
    "wrong failure": "jobs that failed although nothing ordered it, or otherwise than ordered",
    "left over": "tasks that are still in somebody's hands",
    "orphan": "files without a job, and jobs without their file",
    "backwards": "events out of order",
    "died": "processes that ended by themselves, or outlived the others",
    "wrong refusal": "uploads that were refused or taken otherwise than they should be",
}


def check(seen: Evidence) -> list[Finding]:
    """Every broken promise."""
    return [
        *(finding for call in seen.accepted for finding in _check_call(seen, call)),
        *(finding for call in seen.calls for finding in _check_refusals(call)),
        *_check_whole(seen),
        *_check_files(seen),
    ]


def is_set_aside(seen: Evidence, call: Call) -> bool:
    """Whether the job failed because its workers were killed too often."""
    order = seen.orders.get(call.number)
    return code_of(seen, call) == SET_ASIDE and not (order and SET_ASIDE in order.codes)


def code_of(seen: Evidence, call: Call) -> str | None:
    """Why a job failed; None unless it did."""
    error = seen.statuses[call.job_id].get("error") or {}
    code: str | None = error.get("code")
    return code


def _check_call(seen: Evidence, call: Call) -> Iterator[Finding]:
    job = call.job_id
    status = seen.statuses[job]["status"]
    if len(call.job_ids) > 1:
        yield Finding("duplicated", job, f"one upload made the jobs {sorted(call.job_ids)}")
    if status not in stream.ENDS:
        yield Finding("lost", job, f"its status is {status}")
        return
    if {end["status"] for end in call.ends} - {status}:
        yield Finding("duplicated", job, f"it ended as {[end['status'] for end in call.ends]}, and is {status}")
    if status == "completed":
        yield from (Finding("wrong answer", job, detail) for detail in _faults_of_answer(seen, call))
    elif not is_set_aside(seen, call):
        order, code = seen.orders.get(call.number), code_of(seen, call)
        if order is None or code not in order.codes:
            yield Finding("wrong failure", job, f"{status} with {code}; ordered was: {order}")
    yield from (Finding("wrong answer", job, detail) for detail in stream.faults_of_hearing(seen, call))
    yield from (Finding(promise, job, detail) for promise, detail in stream.faults_of_events(seen, call))


def _check_refusals(call: Call) -> Iterator[Finding]:
    if not call.job_ids:
        yield Finding("wrong refusal", f"recording {call.number}", f"never taken: {call.refusals[-3:]}")
    if wrong := set(call.refusals) - REFUSALS:
        yield Finding("wrong refusal", f"recording {call.number}", f"refused with {wrong}")


def _faults_of_answer(seen: Evidence, call: Call) -> Iterator[str]:
    status, audio = seen.statuses[call.job_id], seen.audio[call.job_id]
    order = seen.orders.get(call.number)
    if order and order.codes:
        yield f"it is completed in spite of: {order}"
    for name, wanted in (("transcript", content.transcript(call.number)), ("response", content.answer(call.number))):
        if status[name] != wanted:
            yield f"its {name} is {status[name]!r}"
    if audio is None:
        yield "its audio cannot be fetched"
        return
    try:
        with wave.open(io.BytesIO(audio)) as file:
            stated = file.getnframes()
            samples = np.frombuffer(file.readframes(stated), np.int16)
    except (wave.Error, EOFError) as error:
        yield f"its audio is no WAV file: {error}"
        return
    wanted_sound, heard = content.sound(content.answer(call.number)), content.spoken(samples)
    if len(samples) != stated or abs(stated / content.RATE_HZ - status["duration_s"]) > 0.001:
        yield f"its audio has {len(samples)} samples, its header says {stated}, its status {status['duration_s']} s"
    if not np.array_equal(heard, wanted_sound):
        yield f"{len(heard)} samples are heard where {len(wanted_sound)} should be, or others"


def _check_whole(seen: Evidence) -> Iterator[Finding]:
    told = {job for call in seen.calls for job in call.job_ids}
    for job in seen.known - told:
        yield Finding("duplicated", job, "a job that no client was told of")
    for place, tasks in seen.tasks.items():
        if place != "dead":
            yield Finding("left over", place, " ".join(tasks))
    failed = {job for job, status in seen.statuses.items() if status["status"] == "failed"}
    dead = {task.split(":")[1] for task in seen.tasks.get("dead", [])}
    for job in (seen.open | dead) - failed:
        yield Finding("left over", job, "it has open or dead tasks, but did not fail")
    for death in seen.deaths:
        yield Finding("died", death, "")
    for answer in seen.wrong_answers:
        yield Finding("wrong refusal", answer, "")


def _check_files(seen: Evidence) -> Iterator[Finding]:
    uploads = {f"input/{job}" for job in seen.known}
    completed = {job for job, status in seen.statuses.items() if status["status"] == "completed"}
    answers = {f"output/{job}_response.wav" for job in completed}
    there = set(seen.files)
    for name in sorted((uploads | answers) - there):
        yield Finding("orphan", name, "this file is missing")
    for name in sorted(there - uploads - answers):
        if name.startswith("work/") and seen.statuses.get(name.split("/")[1], {}).get("status") == "failed":
            continue  # it may be tried again, and needs what it has
        yield Finding("orphan", name, "no job knows of this file")
    for name in seen.partial:
        yield Finding("orphan", name, "half a file")
