"""Which jobs meet a misbehaving engine, and how it misbehaves: decided by the seed, so that a run can be repeated.

The campaign, the engines and the model's server each compute the same assignment; they need not communicate.
"""

from dataclasses import dataclass
from pathlib import Path
from random import Random

#: Share of the jobs that meet a misbehaving engine.
_SHARE = 0.3

#: One in so many of the misbehaviors is permanent, once each permanent one has been assigned.
_PERMANENT_INTERVAL = 17

#: Misbehaviors that pass: the next attempt works.
_TRANSIENT = {
    "stt": ("raises", "hangs", "leaks", "exits", "segfaults", "returns_none", "returns_text"),
    "llm": ("rate_limits", "fails", "hangs", "breaks_off", "returns_garbage"),
    "tts": ("raises", "hangs", "leaks", "exits", "segfaults", "returns_none", "returns_text", "returns_nan"),
}

#: Misbehaviors at each attempt, and the codes with which such a job may fail. An engine's crash counts as its worker's.
_PERMANENT = {
    ("stt", "raises"): {"engine_failed"},
    ("stt", "raises_no_speech"): {"no_speech"},
    ("stt", "returns_empty"): {"no_speech"},
    ("stt", "segfaults"): {"engine_crashed", "worker_died"},
    ("llm", "returns_empty"): {"answer_blocked"},
    ("llm", "rejects_key"): {"model_refused"},
    ("tts", "hangs"): {"engine_timeout", "worker_died"},
    ("tts", "returns_none"): {"engine_failed"},
}


@dataclass(frozen=True)
class Misbehavior:
    """The misbehavior of one stage's engine towards one job."""

    stage: str
    kind: str
    codes: frozenset[str] = frozenset()
    """The codes with which the job may fail; empty if only the first attempt is affected."""

    @property
    def label(self) -> str:
        return f"{self.kind} permanently" if self.codes else self.kind

    def __str__(self) -> str:
        return f"{self.stage} {self.label}"


def assign_misbehaviors(seed: int, jobs: int) -> dict[int, Misbehavior]:
    """Return misbehaviors by job number, each kind at least once where there are enough jobs."""
    transient = [Misbehavior(stage, kind) for stage, kinds in _TRANSIENT.items() for kind in kinds]
    permanent = [Misbehavior(stage, kind, frozenset(codes)) for (stage, kind), codes in _PERMANENT.items()]
    rng = Random(f"orders {seed}")  # another text would change what each published seed stands for
    count = min(jobs, max(len(transient) + len(permanent), round(jobs * _SHARE)))
    numbers = sorted(rng.sample(range(jobs), count))
    # Jobs that fail permanently take longest to end, so they come first.
    assigned = dict(zip(numbers, rng.sample(permanent, len(permanent)), strict=False))
    rest = numbers[len(assigned) :]
    rng.shuffle(rest)
    for turn, number in enumerate(rest):
        is_permanent = turn % _PERMANENT_INTERVAL == 0 and turn > len(transient)
        assigned[number] = rng.choice(permanent) if is_permanent else transient[turn % len(transient)]
    return assigned


class Misbehaviors:
    """The misbehaviors that are still due, as an engine asks for them."""

    def __init__(self, seed: int, jobs: int, markers: Path) -> None:
        """`markers` is a folder with a file for each transient misbehavior that is over; it outlives every process."""
        self._assigned = assign_misbehaviors(seed, jobs)
        self._markers = markers

    def take(self, stage: str, number: int | None) -> str | None:
        """Return how the engine must misbehave in this call, or None. A transient misbehavior is returned once."""
        misbehavior = self._assigned.get(number) if number is not None else None
        if misbehavior is None or misbehavior.stage != stage:
            return None
        if not misbehavior.codes:
            try:
                (self._markers / f"{stage}-{number}").touch(exist_ok=False)
            except FileExistsError:
                return None
        return misbehavior.kind
