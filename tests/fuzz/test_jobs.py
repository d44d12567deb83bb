"""Jobs, claims and outcomes with arbitrary texts, and jobs that another program has changed."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.queue.events import EventPayload, SegmentEvent, TextEvent
from shared.queue.job import Job
from shared.queue.messages import Claim, Outcome
from shared.queue.stages import STAGES, stage_after, task_name

JOB_IDS = st.uuids().map(lambda job_id: job_id.hex)
TIMES_MS = st.integers(0, 4_000_000_000_000)
TEXT = st.text(max_size=40)

#: A hash as the scripts write it, with any of its optional fields.
HASHES = st.fixed_dictionaries(
    {
        "job_id": JOB_IDS,
        "status": st.sampled_from(["pending", "processing", "completed", "failed", "cancelled"]),
        "created_at": TIMES_MS.map(str),
        "updated_at": TIMES_MS.map(str),
    },
    optional={
        **dict.fromkeys(("transcript", "language", "response", "error_code", "error_message"), TEXT),
        **{f"{name}:{stage}": TEXT for name in ("engine", "model") for stage in STAGES},
        **{f"{name}:{stage}": TIMES_MS.map(str) for name in ("queued_at", "begun_at", "done_at") for stage in STAGES},
        **{f"attempts:{stage}": st.integers(0, 10**6).map(str) for stage in STAGES},
        **{name: TIMES_MS.map(str) for name in ("ended_at", "first_audio_at")},
        "duration_s": st.floats(0, 1e6).map("{:.3f}".format),
    },
)


@given(HASHES)
def test_job_is_read_as_it_was_written(fields: dict[str, str]) -> None:
    """A job keeps every field of its hash, and survives conversion to JSON and back."""
    job = Job.from_hash(fields)
    assert (job.job_id, job.status, job.transcript) == (fields["job_id"], fields["status"], fields.get("transcript"))
    assert round(job.created_at.timestamp() * 1000) == int(fields["created_at"])
    assert job.attempts == {
        stage: int(fields[f"attempts:{stage}"]) for stage in STAGES if f"attempts:{stage}" in fields
    }
    assert {stage for stage in STAGES if f"engine:{stage}" in fields} == set(job.engines)
    assert (job.error is not None) == ("error_code" in fields)
    assert Job.model_validate_json(job.model_dump_json()) == job


@given(HASHES, st.data())
def test_changed_job_is_read_or_refused(fields: dict[str, str], data: st.DataObject) -> None:
    """A job hash with a missing or changed field raises one of three errors, or is still the same job."""
    name = data.draw(st.sampled_from(sorted(fields)))
    value = data.draw(st.none() | TEXT | st.integers().map(str) | st.floats().map(str))
    changed = {key: text for key, text in (fields | {name: value}).items() if text is not None}
    try:
        job = Job.from_hash(changed)
    except (LookupError, ValueError, OverflowError):
        return
    assert job.job_id == changed["job_id"]


@given(
    st.sampled_from(STAGES), JOB_IDS, st.none() | st.just("join") | st.integers(0, 10**6), st.dictionaries(TEXT, TEXT)
)
def test_claim_is_read_from_a_reply(stage: Any, job_id: str, part: Any, fields: dict[str, str]) -> None:
    """A claim has the job and the part of its task's name, and the history with the oldest turn first."""
    turns = [["Hi", "Ho"], ["Why?", "So."]]  # the latest first
    claim = Claim.read(
        ["begun", task_name(stage, job_id, part), "3", "input", json.dumps(fields), 0, turns, 5], "token"
    )
    assert claim is not None
    assert (claim.job_id, claim.part) == (job_id, None if part is None else str(part))
    assert (claim.attempt, claim.fields) == (3, fields)
    assert claim.history == (("Why?", "So."), ("Hi", "Ho"))


@given(st.lists(st.sampled_from(STAGES), min_size=1, max_size=3, unique=True))
def test_stage_after_walks_a_route_to_its_end(stages: list[Any]) -> None:
    """Each stage of a route leads to the next, and the last to none."""
    visited = [stages[0]]
    while (following := stage_after(",".join(stages), visited[-1])) is not None:
        visited.append(following)
    assert visited == stages


@given(st.text(max_size=30), st.sampled_from(STAGES))
def test_stage_that_is_not_on_the_route_is_an_error(route: str, stage: Any) -> None:
    """The stage after one that the route lacks raises a ValueError."""
    if stage not in route.split(","):
        with pytest.raises(ValueError, match="not in list"):
            stage_after(route, stage)


@given(
    st.dictionaries(TEXT, TEXT),
    st.lists(st.tuples(TEXT, TEXT)),
    st.none() | st.tuples(st.just("tts"), st.lists(TEXT)),
    st.none() | st.tuples(st.integers(0), TEXT),
    st.lists(st.builds(TextEvent, TEXT) | st.builds(SegmentEvent, st.integers(0), st.floats(0, 1e6), TEXT)),
    st.integers(0),
    st.dictionaries(TEXT, st.integers()),
)
def test_outcome_is_encoded_without_loss(
    fields: dict[str, str],
    next_tasks: list[tuple[str, str]],
    parts: tuple[Any, list[str]] | None,
    part: tuple[int, str] | None,
    events: list[EventPayload],
    steps: int,
    counts: dict[str, int],
) -> None:
    """An outcome's JSON has every value and no null at its top, which Lua would take for a value."""
    outcome = Outcome(fields, next_tasks, parts, part, events, steps=steps, counts=counts)
    plain = json.loads(outcome.as_json())
    assert plain["fields"] == fields
    assert [tuple(task) for task in plain["next"]] == next_tasks
    assert (tuple(plain["parts"]) if "parts" in plain else None) == parts
    assert plain["events"] == [[event.name, event.as_dict()] for event in events]
    assert (plain["steps"], plain["counts"]) == (steps, counts)
    assert (tuple(plain["part"]) if "part" in plain else None) == part
    assert None not in plain.values()
