"""What must be true of a job's events, and of what was heard of its answer while that was being made."""

from collections.abc import Iterator
from typing import Any

from chaos.evidence import Evidence
from chaos.load import Call

STAGES = ("stt", "llm", "tts")
ENDS = ("completed", "failed", "cancelled")

_HEADER_BYTES = 44


def faults_of_events(seen: Evidence, call: Call) -> Iterator[tuple[str, str]]:
    """Broken promises, and how each was broken."""
    events, status = seen.events[call.job_id], seen.statuses[call.job_id]
    names = [event["event"] for event in events]
    ends = [name for name in names if name in ENDS]
    if ends != [status["status"]]:
        promise = "duplicated" if len(ends) > 1 else "lost"
        yield promise, f"it is {status['status']}, and its events tell of these ends: {ends}"
    ids = [tuple(map(int, event["id"].split("-"))) for event in events]
    if ids != sorted(set(ids)) or names[:1] != ["pending"] or names[-1:] != ends[-1:] or _goes_back(events):
        yield "backwards", " ".join(f"{event['event']}:{event.get('stage', '')}" for event in events)
    yield from _faults_of_generations(events, status)
    if call.told is not None:
        own = [(event["id"], event["event"]) for event in events]
        # Whoever followed may have been told of what Redis has lost since, with its last second.
        if [event for event in call.told if event in own] != own:
            yield "lost", f"whoever followed it was told {call.told}, not {own}"


def _goes_back(events: list[dict[str, Any]]) -> bool:
    """Stages overlap, but begin in their order, and nothing comes of one that is done."""
    begun, done = [], set()
    for event in events:
        stage = event.get("stage")
        if stage in done or (event["event"] in ("text", "restarted") and "llm" in done):
            return True
        if stage in STAGES and stage not in begun:
            begun.append(stage)
        if event["event"] == "stage_done":
            done.add(stage)
    return begun != list(STAGES[: len(begun)])


def _faults_of_generations(events: list[dict[str, Any]], status: dict[str, Any]) -> Iterator[tuple[str, str]]:
    first, text, durations = 0, "", dict[int, float]()
    for event in events:
        match event["event"]:
            case "text":
                text += event["text"]
            case "segment":
                if event["index"] in durations:
                    yield "duplicated", f"segment {event['index']} was committed more than once"
                if event["index"] < first:
                    yield "backwards", f"segment {event['index']} comes after a restart from {first} on"
                durations[event["index"]] = event["duration_s"]
            case "restarted":
                if event["first"] < max([first, *(index + 1 for index in durations)]):
                    yield "backwards", f"it is to begin anew with {event['first']}, after {sorted(durations)}"
                first, text, durations = event["first"], "", {}
    if text != (status["response"] or ""):
        yield "wrong answer", f"its events tell {text!r}, its status {status['response']!r}"
    if status["status"] == "completed":
        if sorted(durations) != list(range(first, first + len(durations))):
            yield "wrong answer", f"it consists of the segments {sorted(durations)} of those from {first} on"
        if abs(sum(durations.values()) - status["duration_s"]) > 0.001 * (len(durations) + 1):
            yield "wrong answer", f"its segments last {sum(durations.values())} s, the whole {status['duration_s']} s"


def faults_of_hearing(seen: Evidence, call: Call) -> Iterator[str]:
    """Whoever listens while the answer is being made hears the samples of the whole, to its end, or is cut off. Whoever
    then goes on where it was, although the answer has begun anew, may hear what does not fit together."""
    whole = (seen.audio[call.job_id] or b"")[_HEADER_BYTES:]
    is_completed = seen.statuses[call.job_id]["status"] == "completed"
    restarted = any(event["event"] == "restarted" for event in seen.events[call.job_id])
    for heard in call.heard:
        begin = max(heard.offset - _HEADER_BYTES, 0)
        samples = heard.audio[max(_HEADER_BYTES - heard.offset, 0) :]
        if heard.is_whole and not is_completed:
            yield "there is an end to what was heard of it, and none to it"
        if not is_completed or (restarted and not (heard.is_whole and heard.offset == 0)):
            continue
        if samples != (whole[begin:] if heard.is_whole else whole[begin : begin + len(samples)]):
            yield f"{len(samples)} bytes were heard from {heard.offset} on that are not of its {len(whole)}"
    if is_completed and call.heard and not call.heard[-1].is_whole:
        yield "it was not heard to its end"
