"""The time from `kill -9` of a worker until its tasks run on another one."""

from dataclasses import dataclass

from chaos.faults import InjectedFault
from chaos.observations import Observations

#: A killed worker's lease expires about so long after the kill; then another worker must be up to take over.
_LEASE_S = 5.0

#: A restarted worker, or one that reconnects to Redis, claims tasks after so long.
_RECOVERY_S = 5.0

_OUTAGES = ("kill_redis", "disconnect_redis", "stall_redis", "exhaust_redis_memory")


@dataclass(frozen=True)
class Takeover:
    """The restart of a killed worker's task on another worker."""

    task: str
    took_s: float
    is_disturbed: bool
    """Redis or the stage's other worker was down as well."""


def takeovers(injected: list[InjectedFault], observed: Observations) -> list[Takeover]:
    """Return a takeover for each task that a killed worker held and that was started again."""
    found = []
    for kill in injected:
        for task in kill.held_tasks:
            stage, job_id = task.split(":")[:2]
            restarts = [
                _time(event)
                for event in observed.events.get(job_id, [])
                if event["event"] == "processing" and event["stage"] == stage and event["attempt"] > 1
            ]
            if later := [restart for restart in restarts if restart > kill.started_at]:
                is_disturbed = any(_disturbs(other, kill, stage) for other in injected)
                found.append(Takeover(task, min(later) - kill.started_at, is_disturbed))
    return found


def _time(event: dict[str, str]) -> float:
    return int(event["id"].partition("-")[0]) / 1000


def _disturbs(other: InjectedFault, kill: InjectedFault, stage: str) -> bool:
    """Return whether `other` kept Redis or the stage's other worker down when the killed worker's lease expired."""
    if other.fault.kind in _OUTAGES:
        return other.started_at < kill.started_at + _LEASE_S + 1 and kill.started_at < other.ended_at + _RECOVERY_S
    if other.fault.target.partition("-")[0] != stage:
        return False
    if other is kill:
        return other.fault.kind == "kill_both_workers"
    return other.started_at < kill.started_at + _LEASE_S + 1 < other.ended_at + _RECOVERY_S + 1
