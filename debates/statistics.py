"""What an evaluation is judged by: intervals, paired tests, and how honest a confidence is. Standard library alone."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import comb, sqrt

NINETY_FIVE = 1.959963984540054  # standard deviations on either side
BINS = 10


def wilson_interval(hits: int, trials: int, *, deviations: float = NINETY_FIVE) -> tuple[float, float]:
    """Of a share (Wilson, *JASA* 1927), 95 % by default; (0, 1) when nothing was tried."""
    if not trials:
        return 0.0, 1.0
    share, square = hits / trials, deviations * deviations
    centre = (share + square / (2 * trials)) / (1 + square / trials)
    reach = deviations * sqrt(share * (1 - share) / trials + square / (4 * trials * trials)) / (1 + square / trials)
    return max(centre - reach, 0.0), min(centre + reach, 1.0)


def mcnemar_exact(only_first: int, only_second: int) -> float:
    """Two-sided p of a paired comparison: questions that one arm alone got right, by the binomial (McNemar 1947)."""
    discordant, fewer = only_first + only_second, min(only_first, only_second)
    tail = sum(comb(discordant, count) for count in range(fewer + 1)) / (1 << discordant)
    return min(2 * tail, 1.0)


def brier(forecasts: Iterable[tuple[float, bool]]) -> float | None:
    """Mean squared error of (probability 0–1, did it happen): 0 is best, "one half" always gets .25. None without any.

    Brier, *Monthly Weather Review* 78, 1950.
    """
    errors = [(probability - happened) ** 2 for probability, happened in forecasts]
    return sum(errors) / len(errors) if errors else None


def brier_of_beliefs(beliefs: Iterable[tuple[Mapping[str, float], str]]) -> float | None:
    """Brier's own score over all options, of (distribution, the right option): 0 best, 2 worst; None without any."""
    errors = [
        sum((share - (option == right)) ** 2 for option, share in belief.items()) + (right not in belief)
        for belief, right in beliefs
    ]
    return sum(errors) / len(errors) if errors else None


@dataclass(frozen=True, slots=True)
class Bin:
    """Forecasts of about the same confidence: how many, their mean, and the share that was right."""

    count: int
    confidence: float
    share: float


def reliability(forecasts: Iterable[tuple[float, bool]], *, bins: int = BINS) -> list[Bin]:
    """Bins of equal width over 0–1, lowest first, empty ones left out."""
    held: dict[int, list[tuple[float, bool]]] = {}
    for probability, happened in forecasts:
        held.setdefault(min(int(probability * bins), bins - 1), []).append((probability, happened))
    return [_bin(held[place]) for place in sorted(held)]


def _bin(forecasts: list[tuple[float, bool]]) -> Bin:
    count = len(forecasts)
    confidence = sum(probability for probability, _ in forecasts) / count
    return Bin(count, confidence, sum(happened for _, happened in forecasts) / count)


def calibration_error(forecasts: Iterable[tuple[float, bool]], *, bins: int = BINS) -> float | None:
    """Expected calibration error: |confidence − share right|, weighed by the bins' counts. None without any."""
    found = reliability(forecasts, bins=bins)
    total = sum(each.count for each in found)
    return sum(each.count * abs(each.confidence - each.share) for each in found) / total if total else None
