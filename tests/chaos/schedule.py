"""The faults of a run and their times: decided by the seed, so that a run can be repeated."""

from collections.abc import Collection
from dataclasses import dataclass
from random import Random

from shared.queue.stages import STAGES

WORKERS = ("stt", "stt-2", "llm", "llm-2", "tts", "tts-2")


@dataclass(frozen=True)
class _FaultKind:
    weight: float
    """The relative frequency, once each kind has occurred."""

    targets: tuple[str, ...]
    duration_s: tuple[float, float]
    """Minimum and maximum, until a killed process is restarted, or a resource is available again."""


KINDS = {
    "kill_worker": _FaultKind(8, WORKERS, (0.0, 3.0)),
    "kill_both_workers": _FaultKind(2, STAGES, (0.0, 2.0)),
    "pause_worker": _FaultKind(4, WORKERS, (6.0, 9.0)),  # longer than a lease
    "terminate_worker": _FaultKind(3, WORKERS, (0.0, 2.0)),
    "kill_api": _FaultKind(2, ("api",), (0.0, 2.0)),
    "kill_api_during_upload": _FaultKind(3, ("api",), (0.0, 2.0)),
    "kill_redis": _FaultKind(1.5, ("redis",), (0.0, 2.0)),
    "disconnect_redis": _FaultKind(0.3, ("redis",), (10.0, 10.0)),  # connections are cut, and new ones refused
    "stall_redis": _FaultKind(0.3, ("redis",), (10.0, 10.0)),  # connections stay open, and nothing is forwarded
    "lose_replies": _FaultKind(3, ("redis",), (0.5, 2.0)),
    "exhaust_redis_memory": _FaultKind(0.7, ("redis",), (1.0, 3.0)),  # Redis refuses every write
    "flush_scripts": _FaultKind(1.5, ("redis",), (0.0, 0.0)),
    "fill_disk": _FaultKind(2, ("volume",), (2.0, 4.0)),
}


@dataclass(frozen=True)
class Fault:
    """One entry of a schedule."""

    start_s: float
    """From the start of the run."""

    kind: str
    target: str
    duration_s: float

    def __str__(self) -> str:
        return f"{self.start_s:7.2f} s  {self.kind} {self.target} for {self.duration_s:.2f} s"


def make_schedule(seed: int, count: int, within_s: float, excluded: Collection[str] = ()) -> list[Fault]:
    """Return `count` faults in order, each kind but the `excluded` ones at least once if there are enough."""
    rng = Random(f"schedule {seed}")
    kinds = [kind for kind in KINDS if kind not in excluded]
    drawn = rng.sample(kinds, min(count, len(kinds)))
    drawn += rng.choices(kinds, [KINDS[kind].weight for kind in kinds], k=count - len(drawn))
    rng.shuffle(drawn)
    times = sorted(rng.uniform(1, within_s) for _ in drawn)
    return [
        Fault(start_s, kind, rng.choice(KINDS[kind].targets), rng.uniform(*KINDS[kind].duration_s))
        for start_s, kind in zip(times, drawn, strict=True)
    ]
