"""Ratios of figures that were measured in turn, and their spread as text."""

from collections.abc import Sequence
from statistics import median


def ratios(numerators: Sequence[float], denominators: Sequence[float]) -> list[float]:
    """One ratio per round, so that other load on the machine in a round affects both figures."""
    return [numerator / denominator for numerator, denominator in zip(numerators, denominators, strict=True)]


def spread(values: Sequence[float], form: str = ".2f") -> str:
    """Minimum, median and maximum."""
    return " - ".join(format(value, form) for value in (min(values), median(values), max(values)))
