"""Which jobs' engines misbehave, and how: decided by the seed, so that a run can be replayed.

The harness, the engines and the model server each deal the same orders; none has to ask another.
"""

from dataclasses import dataclass
from pathlib import Path
from random import Random

#: Share of the jobs that meet a misbehaving engine.
_SHARE = 0.3

#: After its first turn, one that never passes is dealt only once in so many that do.
_RARITY = 17

#: What passes: the next attempt works.
_TRANSIENT = {
    "stt": ("raises", "hangs", "leaks", "exits", "segfaults", "returns_none", "returns_text"),
    "llm": ("too_many", "breaks", "hangs", "cut_off", "garbage"),
    "tts": ("raises", "hangs", "leaks", "exits", "segfaults", "returns_none", "returns_text", "returns_nan"),
}

#: What does not pass, and the codes with which such a job may fail. An engine's crash counts as a death of its worker.
_PERMANENT = {
    ("stt", "raises"): {"engine_failed"},
    ("stt", "no_speech"): {"no_speech"},
    ("stt", "returns_nothing"): {"no_speech"},
    ("stt", "segfaults"): {"engine_crashed", "worker_died"},
    ("llm", "says_nothing"): {"answer_blocked"},
    ("llm", "refuses"): {"model_refused"},
    ("tts", "hangs"): {"engine_timeout", "worker_died"},
    ("tts", "returns_none"): {"engine_failed"},
}


@dataclass(frozen=True)
class Order:
    """One job's engine of one stage misbehaves."""

    stage: str
    kind: str
    codes: frozenset[str] = frozenset()
    """How the job may fail; empty if it passes."""

    @property
    def said(self) -> str:
        return f"{self.kind} for ever" if self.codes else self.kind

    def __str__(self) -> str:
        return f"{self.stage} {self.said}"


def deal(seed: int, jobs: int) -> dict[int, Order]:
    """Orders by job number: each kind once at least where there are jobs enough."""
    transient = [Order(stage, kind) for stage, kinds in _TRANSIENT.items() for kind in kinds]
    permanent = [Order(stage, kind, frozenset(codes)) for (stage, kind), codes in _PERMANENT.items()]
    rng = Random(f"orders {seed}")
    count = min(jobs, max(len(transient) + len(permanent), round(jobs * _SHARE)))
    numbers = sorted(rng.sample(range(jobs), count))
    # What never passes takes longest to end, so it comes first.
    dealt = dict(zip(numbers, rng.sample(permanent, len(permanent)), strict=False))
    rest = numbers[len(dealt) :]
    rng.shuffle(rest)
    for turn, number in enumerate(rest):
        rare = turn % _RARITY == 0 and turn > len(transient)
        dealt[number] = rng.choice(permanent) if rare else transient[turn % len(transient)]
    return dealt


class Orders:
    """Orders as an engine meets them: what is due now."""

    def __init__(self, seed: int, jobs: int, done: Path) -> None:
        """`done` is a folder that remembers which orders have been carried out, whatever dies meanwhile."""
        self._orders, self._done = deal(seed, jobs), done

    def due(self, stage: str, number: int | None) -> str | None:
        """How this call must misbehave, if it must."""
        order = self._orders.get(number) if number is not None else None
        if order is None or order.stage != stage:
            return None
        if not order.codes:
            try:
                (self._done / f"{stage}-{number}").touch(exist_ok=False)
            except FileExistsError:
                return None
        return order.kind
