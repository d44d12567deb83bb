"""What goes in and out of the queue's verbs."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from shared.queue.stages import Stage

#: A task to push: its name and its input.
NewTask = tuple[str, str]

#: Its name, and what it tells.
Event = tuple[str, dict[str, Any]]


@dataclass(frozen=True)
class Claim:
    """A task in a worker's hands."""

    task: str
    token: str
    """Random for each attempt; the proof that this attempt is the one in force."""

    attempt: int
    """1 for the first."""

    input: str
    """What the step before it handed over."""

    fields: dict[str, str]
    """The job-status hash."""

    excused: int = 0
    """How many of the attempts before failed by what the job has nothing to do with."""

    history: tuple[tuple[str, str], ...] = ()
    """For the LLM stage: earlier turns of the conversation, oldest first; what was said, and what was answered."""

    waiting: int = 0
    """How many more tasks waited in the stage's list when this one was begun."""

    @classmethod
    def read(cls, reply: list[Any], token: str) -> Self | None:
        """What `begin.lua` replies; None unless an attempt was begun."""
        if reply[0] != "begun":
            return None
        pairs = iter(reply[4])
        fields = dict(zip(pairs, pairs, strict=True))
        history = tuple((user, assistant) for user, assistant in reversed(reply[6]))
        return cls(reply[1], token, int(reply[2]), reply[3], fields, int(reply[5]), history, int(reply[7]))

    @property
    def job_id(self) -> str:
        return self.task.split(":")[1]

    @property
    def part(self) -> str | None:
        """`0`, `1`, … or `join` for a part of a joined whole."""
        pieces = self.task.split(":")
        return pieces[2] if len(pieces) > 2 else None


@dataclass(frozen=True)
class Outcome:
    """What a task, or a step of it, has made, and what comes next."""

    fields: dict[str, str] = field(default_factory=dict)
    """Results, written to the job-status hash."""

    next: Sequence[NewTask] = ()
    """Tasks to push. None, where the task makes no parts and is none either, ends the job as completed."""

    parts: tuple[Stage, Sequence[str]] | None = None
    """Makes a task of each of these inputs: the parts of a whole. With the commit it is said that no more will come;
    when all are done, their join follows, with their outputs as a JSON list."""

    part: tuple[int, str] | None = None
    """Set by a part: its index and its output."""

    events: Sequence[Event] = ()
    """What whoever follows the job should hear of."""

    counts: dict[str, int] = field(default_factory=dict)
    """Counters to increase with the commit, such as `stt_strategy:short_8`, by how much. Names are few, and consist of
    letters, digits and `_.:-`."""

    steps: int = 0
    """How many steps the attempt has recorded before this, as its worker counts them: where Redis has lost some of them
    with its last second, the attempt cannot go on."""

    def as_json(self) -> str:
        """As the scripts take it, which have no word for None."""
        return json.dumps({name: value for name, value in vars(self).items() if value is not None})


@dataclass(frozen=True)
class WorkerInfo:
    """What a warm worker says of itself."""

    stage: Stage
    engine: str
    model: str
    warning: str | None = None
    """What whoever runs it should know, such as that no language model is configured."""

    batch: int = 1
    """How many tasks it takes at a time, if so many wait."""


@dataclass(frozen=True)
class QueueStats:
    """How busy the system is."""

    live: int
    """Jobs that have not ended."""

    ended_per_s: float
    """Jobs that ended each second, over the last minute."""

    memory_full: bool
    """Whether Redis is near the limit of its memory."""
