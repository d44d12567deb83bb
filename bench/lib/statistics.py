"""Ratios of what was measured in turn, and how they are told."""

from collections.abc import Sequence
from statistics import median


def ratios(these: Sequence[float], those: Sequence[float]) -> list[float]:
    """Of each round by itself, so that what else the machine did in a round touches both."""
    return [this / that for this, that in zip(these, those, strict=True)]


def spread(values: Sequence[float], form: str = ".2f") -> str:
    """Least, median and most."""
    return " - ".join(format(value, form) for value in (min(values), median(values), max(values)))
