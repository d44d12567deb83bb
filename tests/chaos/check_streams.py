"""The checks of a job's events, and of the audio that listeners received while the answer was made."""

from collections.abc import Iterator
from typing import Any

from api.jobs.audio_formats import WAV_HEADER_BYTES
from chaos.load import Upload
from chaos.observations import Observations
from shared.queue.events import LAST_EVENTS
from shared.queue.stages import STAGES


def check_events(observed: Observations, upload: Upload) -> Iterator[tuple[str, str]]:
    """The kind and the detail of each finding in the job's events."""
    events = observed.events[upload.job_id]
    status = observed.statuses[upload.job_id]
    names = [event["event"] for event in events]
    ends = [name for name in names if name in LAST_EVENTS]
    if ends != [status["status"]]:
        kind = "duplicated" if len(ends) > 1 else "lost"
        yield kind, f"it is {status['status']}, and its events end it as {ends}"
    ids = [tuple(map(int, event["id"].split("-"))) for event in events]
    is_in_order = ids == sorted(set(ids)) and names[:1] == ["pending"] and names[-1:] == ends[-1:]
    if not is_in_order or not _are_stages_in_order(events):
        yield "out of order", " ".join(f"{event['event']}:{event.get('stage', '')}" for event in events)
    yield from _check_generations(events, status)
    if upload.received_events is not None:
        stored = [(event["id"], event["event"]) for event in events]
        # A subscriber may have received events of the last second before Redis was killed, which Redis has lost.
        if [event for event in upload.received_events if event in stored] != stored:
            yield "lost", f"a subscriber received {upload.received_events}, not {stored}"


def _are_stages_in_order(events: list[dict[str, Any]]) -> bool:
    """Return whether the stages start in their order, and none has an event after it is done. They may overlap."""
    started: list[str] = []
    done: set[str] = set()
    for event in events:
        stage = event.get("stage")
        if stage in done or (event["event"] in ("text", "restarted") and "llm" in done):
            return False
        if stage is not None and stage not in started:
            started.append(stage)
        if event["event"] == "stage_done":
            done.add(event["stage"])
    return started == list(STAGES[: len(started)])


def _check_generations(events: list[dict[str, Any]], status: dict[str, Any]) -> Iterator[tuple[str, str]]:
    first = 0
    text = ""
    durations: dict[int, float] = {}
    for event in events:
        match event["event"]:
            case "text":
                text += event["text"]
            case "segment":
                if event["index"] in durations:
                    yield "duplicated", f"segment {event['index']} was committed more than once"
                if event["index"] < first:
                    yield "out of order", f"segment {event['index']} comes after a restart from {first} on"
                durations[event["index"]] = event["duration_s"]
            case "restarted":
                if event["first"] < max([first, *(index + 1 for index in durations)]):
                    yield "out of order", f"it restarts from {event['first']} on, after {sorted(durations)}"
                first = event["first"]
                text = ""
                durations = {}
    if text != (status["response"] or ""):
        yield "wrong answer", f"its events contain {text!r}, its status {status['response']!r}"
    if status["status"] == "completed":
        if sorted(durations) != list(range(first, first + len(durations))):
            yield "wrong answer", f"it consists of the segments {sorted(durations)} of those from {first} on"
        if abs(sum(durations.values()) - status["duration_s"]) > 0.001 * (len(durations) + 1):
            yield "wrong answer", f"its segments last {sum(durations.values())} s, the whole {status['duration_s']} s"


def check_streamed_audio(observed: Observations, upload: Upload) -> Iterator[str]:
    """The findings in the audio that a listener received while the answer was made.

    Each response has the bytes of the final file, to its end or until it is cut off. A listener that continues at an
    offset although the answer was restarted may receive bytes that do not fit together; these are not checked.
    """
    whole = (observed.audio[upload.job_id] or b"")[WAV_HEADER_BYTES:]
    is_completed = observed.statuses[upload.job_id]["status"] == "completed"
    is_restarted = any(event["event"] == "restarted" for event in observed.events[upload.job_id])
    for response in upload.audio_responses:
        start = max(response.offset - WAV_HEADER_BYTES, 0)
        samples = response.body[max(WAV_HEADER_BYTES - response.offset, 0) :]
        if response.is_complete and not is_completed:
            yield "a listener received a complete answer, but the job did not complete"
        if not is_completed or (is_restarted and not (response.is_complete and response.offset == 0)):
            continue
        if samples != (whole[start:] if response.is_complete else whole[start : start + len(samples)]):
            yield f"a listener received {len(samples)} bytes from {response.offset} on that are not in the {len(whole)}"
    if is_completed and upload.audio_responses and not upload.audio_responses[-1].is_complete:
        yield "a listener did not receive its end"
