"""Every event of a job: its name, its payload and what it means.

The Lua scripts publish by the names in `EVENTS`, workers publish instances of the classes, and the API, the command and
the page follow them. A test compares the payloads that the scripts write, and the names that the page handles, with
these definitions.
"""

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, get_type_hints

from shared.queue.stages import ENDED, Stage


class EventPayload:
    """The payload of one kind of event. Each field is annotated with its meaning and unit."""

    name: ClassVar[str]
    """The event's name, in the stream and in `event:` of a server-sent event."""

    internal: ClassVar[frozenset[str]] = frozenset()
    """Fields that the API removes before it sends the event to a client."""

    def as_dict(self) -> dict[str, Any]:
        """Return the payload as it is stored."""
        return dict(vars(self))


@dataclass(frozen=True)
class PendingEvent(EventPayload):
    """The job has been accepted and waits for its first stage."""

    name = "pending"


@dataclass(frozen=True)
class PositionEvent(EventPayload):
    """The job's place in its stage's list. Sent by the API to each subscriber; not stored."""

    name = "position"

    stage: Annotated[Stage, "The stage that the job waits for."]
    ahead: Annotated[int, "How many tasks are before its own."]
    wait_s: Annotated[float | None, "Estimated wait in seconds; null where the stage has completed nothing lately."]


@dataclass(frozen=True)
class ProcessingEvent(EventPayload):
    """A worker has started a stage of the job, or another attempt at one."""

    name = "processing"

    stage: Annotated[Stage, "The stage."]
    attempt: Annotated[int, "1 for the task's first attempt."]


@dataclass(frozen=True)
class TranscriptEvent(EventPayload):
    """The recording has been transcribed."""

    name = "transcript"

    text: Annotated[str, "The transcript."]
    language: Annotated[str | None, "ISO 639-1 code of the language."]


@dataclass(frozen=True)
class TextEvent(EventPayload):
    """The answer's text has grown."""

    name = "text"

    text: Annotated[str, "The text to append to the answer."]


@dataclass(frozen=True)
class SegmentEvent(EventPayload):
    """A segment of the answer has been synthesized and can be fetched at `url`, its path in the API."""

    name = "segment"
    internal = frozenset({"path"})

    index: Annotated[int, "The segment's number. Segments are played in the order of their numbers."]
    duration_s: Annotated[float, "Its length in seconds, with the pause after it."]
    path: Annotated[str, "Its file, relative to the volume. Clients receive `url` instead."]


@dataclass(frozen=True)
class StageDoneEvent(EventPayload):
    """A stage of the job is done, and another one follows."""

    name = "stage_done"

    stage: Annotated[Stage, "The stage."]


@dataclass(frozen=True)
class RetryingEvent(EventPayload):
    """An attempt failed, and its task was rescheduled."""

    name = "retrying"

    stage: Annotated[Stage, "The stage."]
    code: Annotated[str, "The error's code."]
    delay_ms: Annotated[int, "Milliseconds until the next attempt may start."]


@dataclass(frozen=True)
class RestartedEvent(EventPayload):
    """The answer is written again from its start: discard its text, and the segments before `first`."""

    name = "restarted"

    first: Annotated[int, "The number of the new answer's first segment."]


@dataclass(frozen=True)
class RevivedEvent(EventPayload):
    """An operator retries the failed job, from the stage that failed."""

    name = "revived"


@dataclass(frozen=True)
class CompletedEvent(EventPayload):
    """The job is done. The last event, unless its status changes again."""

    name = "completed"


@dataclass(frozen=True)
class FailedEvent(EventPayload):
    """The job has failed. The last event, unless an operator retries the job."""

    name = "failed"

    code: Annotated[str, "The error's code, for programs."]
    message: Annotated[str, "The error's sentence, for people."]
    stage: Annotated[Stage | None, "The stage that failed; absent where the job's data could not be read."] = None


@dataclass(frozen=True)
class CancelledEvent(EventPayload):
    """The job was cancelled and its text erased. The last event."""

    name = "cancelled"


#: Every kind of event by its name, in the order in which a job usually passes them.
EVENTS: dict[str, type[EventPayload]] = {
    kind.name: kind
    for kind in (
        PendingEvent,
        PositionEvent,
        ProcessingEvent,
        TranscriptEvent,
        TextEvent,
        SegmentEvent,
        StageDoneEvent,
        RetryingEvent,
        RestartedEvent,
        RevivedEvent,
        CompletedEvent,
        FailedEvent,
        CancelledEvent,
    )
}

#: The events that end a job's stream: those named like the statuses of an ended job.
LAST_EVENTS = frozenset(name for name in EVENTS if name in ENDED)


def payload_types(kind: type[EventPayload]) -> dict[str, Any]:
    """Return the type of each field of an event's payload."""
    return {name: hint for name, hint in get_type_hints(kind).items() if name not in ("name", "internal")}


def descriptions(kind: type[EventPayload]) -> dict[str, str]:
    """Return the meaning of each field of an event's payload.

    Raises:
        TypeError: a field has none.
    """
    hints = get_type_hints(kind, include_extras=True)
    if undescribed := [name for name in payload_types(kind) if not hasattr(hints[name], "__metadata__")]:
        raise TypeError(
            f"{kind.__name__}: annotate {', '.join(undescribed)} as Annotated[type, 'meaning with its unit']"
        )
    return {name: hints[name].__metadata__[0] for name in payload_types(kind)}
