"""The messages between the queue and its callers: claims, outcomes, worker information and statistics."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from shared.queue import job_fields
from shared.queue.events import EventPayload
from shared.queue.stages import Stage

#: A task to push: its name and its input.
NewTask = tuple[str, str]


@dataclass(frozen=True)
class Claim:
    """A worker's attempt at a task that it holds."""

    task: str
    token: str
    """Random for each attempt. It proves to the queue that this attempt is the current one."""

    attempt: int
    """1 for the first."""

    input: str
    """The output of the previous task; empty where the job's fields suffice."""

    fields: dict[str, str]
    """The job hash."""

    uncounted_attempts: int = 0
    """Earlier attempts that failed for a reason that has nothing to do with the job."""

    history: tuple[tuple[str, str], ...] = ()
    """For the LLM stage: earlier turns of the conversation as (user, assistant), oldest first."""

    waiting: int = 0
    """The number of tasks that still waited in the stage's list when this attempt started."""

    @classmethod
    def read(cls, reply: list[Any], token: str) -> Self | None:
        """Read a reply of `begin.lua`; None unless an attempt started."""
        if reply[0] != "begun":
            return None
        fields = json.loads(reply[4])
        history = tuple((user, assistant) for user, assistant in reversed(reply[6]))
        return cls(reply[1], token, int(reply[2]), reply[3], fields, int(reply[5]), history, int(reply[7]))

    @property
    def job_id(self) -> str:
        return self.task.split(":")[1]

    @property
    def part(self) -> str | None:
        """`0`, `1`, … for a segment, `join` for the task that joins them, None for any other task."""
        words = self.task.split(":")
        return words[2] if len(words) > 2 else None


@dataclass(frozen=True)
class Outcome:
    """The result of a task, or of a step of it, and the tasks that follow."""

    fields: dict[str, str] = field(default_factory=dict)
    """Results, written to the job hash."""

    next: Sequence[NewTask] = ()
    """Tasks to push. A commit without any, and without `parts` or `part`, completes the job."""

    parts: tuple[Stage, Sequence[str]] | None = None
    """A stage, and the inputs of new parts for it. The commit ends their generation: once all its parts are done, their
    join follows, with their outputs as a JSON list."""

    part: tuple[int, str] | None = None
    """Set by a part: its number and its output."""

    events: Sequence[EventPayload] = ()
    """Events to publish to the job's subscribers."""

    counts: dict[str, int] = field(default_factory=dict)
    """Counters to increase with the commit, such as `stt_strategy:short_8`, by how much. Names are few, and consist of
    letters, digits and `_.:-`."""

    steps: int = 0
    """The number of steps that this attempt has recorded so far, as its worker counts them. If Redis has lost some of
    them with its last second, the attempt cannot continue."""

    def as_json(self) -> str:
        """Return the outcome as the scripts read it: without None, which Lua has no value for."""
        message = {name: value for name, value in vars(self).items() if value is not None}
        message["events"] = [(event.name, event.as_dict()) for event in self.events]
        return json.dumps(message)


@dataclass(frozen=True)
class WorkerInfo:
    """A warm worker's description, as it registers with each heartbeat."""

    stage: Stage
    engine: str
    model: str
    warning: str | None = None
    """A hint for the operator, such as that no language model is configured."""

    batch: int = 1
    """The largest number of waiting tasks that it claims at once."""

    def engine_fields(self, model: str | None = None) -> dict[str, str]:
        """Return the fields of the job hash that name the stage's engine and its model, or `model`."""
        return {
            job_fields.ENGINE.of(self.stage): self.engine,
            job_fields.MODEL.of(self.stage): self.model if model is None else model,
        }


@dataclass(frozen=True)
class QueueStats:
    """The load of the whole system."""

    live: int
    """Jobs that have not ended."""

    ended_per_s: float
    """Jobs that ended each second, over the last minute."""

    memory_full: bool
    """True if Redis is near the limit of its memory."""
