"""The check of a finished run: each violated guarantee becomes a finding."""

import io
import wave
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from chaos import content
from chaos.check_streams import check_events, check_streamed_audio
from chaos.load import Upload
from chaos.observations import Observations
from shared.queue.stages import ENDED

#: The code of a job without a misbehaving engine that was dead-lettered: by chance its workers were killed too often.
WORKER_DIED = "worker_died"

#: The responses other than 202 that a client may get while the API, Redis or the disk is down.
ALLOWED_REFUSALS = {"no_response", "queue_unavailable", "queue_memory_full", "storage_full"}


@dataclass(frozen=True)
class Finding:
    """A violated guarantee."""

    kind: str
    """A key of `KINDS`."""
    subject: str
    detail: str


#: The kinds of findings, and what each of them counts.
KINDS = {
    "lost": "accepted jobs that did not end",
    "duplicated": "jobs, ends or segments that occurred twice",
    "wrong answer": "completed jobs without exactly their own whole answer",
    "wrong failure": "jobs that failed without a reason, or with another error than their engine's",
    "left over": "tasks that are still in the queue",
    "orphaned": "files without a job, and jobs without their file",
    "out of order": "events out of order",
    "process failure": "processes that exited unexpectedly, or outlived the stack",
    "wrong refusal": "uploads that were wrongly refused or accepted",
}


def check_run(observed: Observations) -> list[Finding]:
    """Return all findings."""
    return [
        *(finding for upload in observed.accepted for finding in _check_job(observed, upload)),
        *(finding for upload in observed.uploads for finding in _check_refusals(upload)),
        *_check_leftovers(observed),
        *_check_files(observed),
    ]


def is_dead_lettered_by_kills(observed: Observations, upload: Upload) -> bool:
    """Return whether the job failed because its workers were killed too often."""
    misbehavior = observed.misbehaviors.get(upload.number)
    may_die = misbehavior is not None and WORKER_DIED in misbehavior.codes
    return observed.error_code(upload) == WORKER_DIED and not may_die


def _check_job(observed: Observations, upload: Upload) -> Iterator[Finding]:
    job_id = upload.job_id
    status = observed.statuses[job_id]["status"]
    if len(upload.job_ids) > 1:
        yield Finding("duplicated", job_id, f"one upload created the jobs {sorted(upload.job_ids)}")
    if status not in ENDED:
        yield Finding("lost", job_id, f"its status is {status}")
        return
    final_statuses = [final["status"] for final in upload.final_statuses]
    if set(final_statuses) - {status}:
        yield Finding("duplicated", job_id, f"it ended as {final_statuses}, and now is {status}")
    if status == "completed":
        yield from (Finding("wrong answer", job_id, detail) for detail in _check_answer(observed, upload))
    elif not is_dead_lettered_by_kills(observed, upload):
        misbehavior = observed.misbehaviors.get(upload.number)
        code = observed.error_code(upload)
        if misbehavior is None or code not in misbehavior.codes:
            yield Finding("wrong failure", job_id, f"{status} with {code}; its engine's misbehavior: {misbehavior}")
    yield from (Finding("wrong answer", job_id, detail) for detail in check_streamed_audio(observed, upload))
    yield from (Finding(kind, job_id, detail) for kind, detail in check_events(observed, upload))


def _check_refusals(upload: Upload) -> Iterator[Finding]:
    if not upload.job_ids:
        yield Finding("wrong refusal", f"recording {upload.number}", f"never accepted: {upload.refusals[-3:]}")
    if wrong := set(upload.refusals) - ALLOWED_REFUSALS:
        yield Finding("wrong refusal", f"recording {upload.number}", f"refused with {wrong}")


def _check_answer(observed: Observations, upload: Upload) -> Iterator[str]:
    status = observed.statuses[upload.job_id]
    audio = observed.audio[upload.job_id]
    answer = content.answer(upload.number)
    misbehavior = observed.misbehaviors.get(upload.number)
    if misbehavior and misbehavior.codes:
        yield f"it is completed in spite of: {misbehavior}"
    for field, expected in (("transcript", content.transcript(upload.number)), ("response", answer)):
        if status[field] != expected:
            yield f"its {field} is {status[field]!r}"
    if audio is None:
        yield "its audio cannot be fetched"
        return
    try:
        with wave.open(io.BytesIO(audio)) as file:
            stated_samples = file.getnframes()
            samples = np.frombuffer(file.readframes(stated_samples), np.int16)
    except (wave.Error, EOFError) as error:
        yield f"its audio is no WAV file: {error}"
        return
    duration_s = status["duration_s"]
    if len(samples) != stated_samples or abs(stated_samples / content.RATE_HZ - duration_s) > 0.001:
        yield f"its audio has {len(samples)} samples, its header states {stated_samples}, its status {duration_s} s"
    expected_speech = content.speech_samples(answer)
    speech = content.without_pauses(samples)
    if not np.array_equal(speech, expected_speech):
        yield f"its audio has other samples than expected: {len(speech)} without pauses, not {len(expected_speech)}"


def _check_leftovers(observed: Observations) -> Iterator[Finding]:
    returned_ids = {job_id for upload in observed.uploads for job_id in upload.job_ids}
    for job_id in observed.job_ids - returned_ids:
        yield Finding("duplicated", job_id, "a job whose id no client received")
    for place, tasks in observed.tasks.items():
        if place != "dead":
            yield Finding("left over", place, " ".join(tasks))
    failed = {job_id for job_id, status in observed.statuses.items() if status["status"] == "failed"}
    dead_lettered = {task.split(":")[1] for task in observed.tasks.get("dead", [])}
    for job_id in (observed.unfinished | dead_lettered) - failed:
        yield Finding("left over", job_id, "it has unfinished or dead-lettered tasks, but did not fail")
    for failure in observed.process_failures:
        yield Finding("process failure", failure, "")
    for refusal in observed.wrong_refusals:
        yield Finding("wrong refusal", refusal, "")


def _check_files(observed: Observations) -> Iterator[Finding]:
    recordings = {f"input/{job_id}" for job_id in observed.job_ids}
    completed = {job_id for job_id, status in observed.statuses.items() if status["status"] == "completed"}
    answers = {f"output/{job_id}_response.wav" for job_id in completed}
    files = set(observed.files)
    for name in sorted((recordings | answers) - files):
        yield Finding("orphaned", name, "this file is missing")
    for name in sorted(files - recordings - answers):
        if name.startswith("work/") and observed.statuses.get(name.split("/")[1], {}).get("status") == "failed":
            continue  # an operator may retry the job, which continues from its segments
        yield Finding("orphaned", name, "this file belongs to no job")
    for name in observed.partial_files:
        yield Finding("orphaned", name, "this file is incomplete")
