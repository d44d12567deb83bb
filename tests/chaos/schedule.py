"""What is done to the stack, and when: decided by the seed, so that a run can be replayed."""

from collections.abc import Collection
from dataclasses import dataclass
from random import Random

WORKERS = ("stt", "stt-2", "llm", "llm-2", "tts", "tts-2")
_STAGES = ("stt", "llm", "tts")


@dataclass(frozen=True)
class _Kind:
    weight: float
    """How often, beside the others, once each has had its turn."""

    targets: tuple[str, ...]
    for_s: tuple[float, float]
    """How long it lasts, from and to: until what was killed is started again, until what was taken away is back."""


KINDS = {
    "kill_worker": _Kind(8, WORKERS, (0.0, 3.0)),
    "kill_both_workers": _Kind(2, _STAGES, (0.0, 2.0)),
    "pause_worker": _Kind(4, WORKERS, (6.0, 9.0)),  # longer than a lease
    "terminate_worker": _Kind(3, WORKERS, (0.0, 2.0)),
    "kill_api": _Kind(2, ("api",), (0.0, 2.0)),
    "kill_api_amid_upload": _Kind(3, ("api",), (0.0, 2.0)),
    "kill_redis": _Kind(1.5, ("redis",), (0.0, 2.0)),
    "refuse_redis": _Kind(0.3, ("redis",), (10.0, 10.0)),  # connections are cut, and new ones refused
    "silence_redis": _Kind(0.3, ("redis",), (10.0, 10.0)),  # connections stay, and nothing passes
    "lose_replies": _Kind(3, ("redis",), (0.5, 2.0)),
    "starve_redis": _Kind(0.7, ("redis",), (1.0, 3.0)),  # it has no memory left, and refuses to write
    "flush_scripts": _Kind(1.5, ("redis",), (0.0, 0.0)),
    "fill_disk": _Kind(2, ("volume",), (2.0, 4.0)),
}


@dataclass(frozen=True)
class Fault:
    """One entry of a schedule."""

    at_s: float
    """Since the beginning."""

    kind: str
    target: str
    for_s: float

    def __str__(self) -> str:
        return f"{self.at_s:7.2f} s  {self.kind} {self.target} for {self.for_s:.2f} s"


def make_schedule(seed: int, count: int, within_s: float, without: Collection[str] = ()) -> list[Fault]:
    """`count` faults in order, each kind but those in `without` at least once if there are enough."""
    rng = Random(f"schedule {seed}")
    kinds = [kind for kind in KINDS if kind not in without]
    chosen = rng.sample(kinds, min(count, len(kinds)))
    chosen += rng.choices(kinds, [KINDS[kind].weight for kind in kinds], k=count - len(chosen))
    rng.shuffle(chosen)
    times = sorted(rng.uniform(1, within_s) for _ in chosen)
    return [
        Fault(at_s, kind, rng.choice(KINDS[kind].targets), rng.uniform(*KINDS[kind].for_s))
        for at_s, kind in zip(times, chosen, strict=True)
    ]
