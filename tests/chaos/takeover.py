"""How long it took from `kill -9` of a worker until what it held was in work elsewhere."""

from dataclasses import dataclass

from chaos.evidence import Evidence
from chaos.faults import Injected

#: A killed worker is taken for dead about so long after: then there must be somebody to take over.
_DUE_S = 5.0

#: A worker that was started again, or that comes back to Redis, is of use after so long.
_STARTING_S = 5.0

_OUTAGES = ("kill_redis", "refuse_redis", "silence_redis", "starve_redis")


@dataclass(frozen=True)
class Takeover:
    """One task's way from a killed worker to another."""

    task: str
    took_s: float
    disturbed: bool
    """Whether Redis or the stage's other worker was away as well."""


def takeovers(injected: list[Injected], seen: Evidence) -> list[Takeover]:
    """For every task that a killed worker held and that was begun anew."""
    found = []
    for done in injected:
        for task in done.robbed:
            stage, job = task.split(":")[:2]
            begun = [
                _at(event)
                for event in seen.events.get(job, [])
                if event["event"] == "processing" and event["stage"] == stage and event["attempt"] > 1
            ]
            if after := [at for at in begun if at > done.begun]:
                disturbed = any(_disturbs(other, done, stage) for other in injected)
                found.append(Takeover(task, min(after) - done.begun, disturbed))
    return found


def _at(event: dict[str, str]) -> float:
    return int(event["id"].partition("-")[0]) / 1000


def _disturbs(other: Injected, kill: Injected, stage: str) -> bool:
    """Whether `other` kept Redis, or whoever else works on the stage, away when the task fell due."""
    if other.fault.kind in _OUTAGES:
        return other.begun < kill.begun + _DUE_S + 1 and kill.begun < other.ended + _STARTING_S
    if other.fault.target.partition("-")[0] != stage:
        return False
    if other is kill:
        return other.fault.kind == "kill_both_workers"
    return other.begun < kill.begun + _DUE_S + 1 < other.ended + _STARTING_S + 1
