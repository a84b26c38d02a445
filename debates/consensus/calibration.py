"""How sure a model is when it says how sure it is: isotonic regression of right and wrong on confidence.

Pool adjacent violators: Barlow, Bartholomew, Bremner, Brunk, *Statistical Inference under Order Restrictions*, 1972;
for calibrating: Zadrozny, Elkan, "Transforming classifier scores into accurate multiclass probability estimates", KDD
2002.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

SETTLED_BALLOTS = 50  # of a model, before its confidence is calibrated
LEAST, MOST = 0.02, 0.98  # nobody is quite certain


@dataclass(frozen=True, slots=True)
class Calibration:
    """A rising curve through (confidence 0–1, share right) and the number of settled ballots it stands on."""

    ballots: int
    confidences: tuple[float, ...]
    shares: tuple[float, ...]

    @property
    def is_enough(self) -> bool:
        return self.ballots >= SETTLED_BALLOTS

    def __call__(self, confidence: float) -> float:
        """Between two points of the curve a straight line, outside them its ends; within .02–.98."""
        place = bisect_left(self.confidences, confidence)
        if place == 0:
            return clip(self.shares[0])
        if place == len(self.confidences):
            return clip(self.shares[-1])
        left, right = self.confidences[place - 1], self.confidences[place]
        low, high = self.shares[place - 1], self.shares[place]
        return clip(low + (high - low) * (confidence - left) / (right - left))

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> "Calibration":
        return cls(stored["ballots"], tuple(stored["confidences"]), tuple(stored["shares"]))


@dataclass(slots=True)
class _Block:
    """Neighbours on one level: how many ballots, how many of them right, and the confidences they reach over."""

    ballots: int
    right: int
    low: float
    high: float

    @property
    def share(self) -> float:
        return self.right / self.ballots

    def absorb(self, other: "_Block") -> None:
        self.ballots += other.ballots
        self.right += other.right
        self.high = other.high


def clip(confidence: float) -> float:
    return min(max(confidence, LEAST), MOST)


def fit_isotonic(settled: Iterable[tuple[float, bool]]) -> Calibration | None:
    """The calibration of one model from its settled ballots (confidence 0–1, was it right); None without any.

    It may be fitted to few; whether it `is_enough` is asked where it is used.
    """
    blocks = _pool(_by_confidence(settled))
    if not blocks:
        return None
    points = [(at, block.share) for block in blocks for at in sorted({block.low, block.high})]
    confidences, shares = zip(*points, strict=True)
    return Calibration(sum(block.ballots for block in blocks), confidences, shares)


def _by_confidence(settled: Iterable[tuple[float, bool]]) -> list[_Block]:
    found: dict[float, list[bool]] = defaultdict(list)
    for confidence, is_right in settled:
        found[clip(confidence)].append(is_right)
    return [_Block(len(found[at]), sum(found[at]), at, at) for at in sorted(found)]


def _pool(blocks: Iterable[_Block]) -> list[_Block]:
    """Merge neighbours until the shares rise."""
    pooled: list[_Block] = []
    for block in blocks:
        pooled.append(block)
        while len(pooled) > 1 and pooled[-2].share >= pooled[-1].share:
            last = pooled.pop()
            pooled[-1].absorb(last)
    return pooled
