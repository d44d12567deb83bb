"""What goes in and out of the queue's verbs."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from shared.job import Stage

#: A task to push: its name and its input.
NewTask = tuple[str, str]


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

    @classmethod
    def read(cls, reply: list[Any], token: str) -> Self | None:
        """What `begin.lua` replies; None unless an attempt was begun."""
        if reply[0] != "begun":
            return None
        pairs = iter(reply[4])
        return cls(reply[1], token, int(reply[2]), reply[3], dict(zip(pairs, pairs, strict=True)), int(reply[5]))

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
    """What a task has made, and what comes next."""

    fields: dict[str, str] = field(default_factory=dict)
    """Results, written to the job-status hash."""

    next: Sequence[NewTask] = ()
    """Tasks to push. None, where the task is no part either, ends the job as completed."""

    join: str | None = None
    """Makes `next` the parts of a whole: this task follows when all are done, with their outputs as a JSON list."""

    part: tuple[int, str] | None = None
    """Set by a part: its index and its output."""

    def as_json(self) -> str:
        """As `commit.lua` takes it, which has no word for None."""
        plain: dict[str, Any] = {"fields": self.fields, "next": self.next}
        if self.join is not None:
            plain["join"] = self.join
        if self.part is not None:
            plain["part"] = self.part
        return json.dumps(plain)


@dataclass(frozen=True)
class WorkerInfo:
    """What a warm worker says of itself."""

    stage: Stage
    engine: str
    model: str
    warning: str | None = None
    """What whoever runs it should know, such as that no language model is configured."""


@dataclass(frozen=True)
class Load:
    """How busy the system is."""

    live: int
    """Jobs that have not ended."""

    ended_per_s: float
    """Jobs that ended each second, over the last minute."""

    memory_full: bool
    """Whether Redis is near the limit of its memory."""
