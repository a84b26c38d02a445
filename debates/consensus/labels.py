"""What a result is worth, in one word and with its reasons: robust, procedural or hollow."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from debates.consensus.chance import Correlation
from debates.consensus.provenance import Provenance

LabelName = Literal["robust", "procedural", "hollow"]

CHANCE = 0.05  # π₀ of a robust result at most
ROBUST_UNEVIDENCED = Fraction(1, 4)
EFFECTIVE_VOTES = 3.0
HOLLOW_GAIN = Fraction(3, 10)
HOLLOW_UNEVIDENCED = Fraction(1, 2)
ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Label:
    """`name` None: the rule gave no winner, so there is nothing to label."""

    name: LabelName | None
    reasons: tuple[str, ...]


NO_RESULT = Label(None, ("The rule has no winner, so there is nothing to label.",))


def label(
    source: Provenance, *, chance: float, effective_votes: float, correlation: Correlation, flag: str = ""
) -> Label:
    """Of a winner: `chance` is π₀ of its heads; `flag`: what makes the rule itself less than the panel's vote."""
    if source.gain >= HOLLOW_GAIN and source.unevidenced_share > HOLLOW_UNEVIDENCED:
        return Label("hollow", (_gain_words(source), _move_words(source)))
    lacks = _lacks(source, chance=chance, effective_votes=effective_votes, correlation=correlation)
    lacks += [flag] if flag else []
    if lacks:
        return Label("procedural", ("The rule is met.", *lacks))
    votes = f"The ballots are worth {effective_votes:.1f} independent ones ({correlation.words})."
    return Label("robust", (_chance_words(source, chance), _move_words(source), votes))


def _lacks(source: Provenance, *, chance: float, effective_votes: float, correlation: Correlation) -> list[str]:
    lacks = []
    if chance > CHANCE:
        lacks.append(_chance_words(source, chance))
    if source.unevidenced_share > ROBUST_UNEVIDENCED:
        lacks.append(_move_words(source))
    if effective_votes < EFFECTIVE_VOTES - ROUNDING:
        lacks.append(
            f"{source.ballots} ballots are worth {effective_votes:.1f} independent ones, "
            f"fewer than {EFFECTIVE_VOTES:.0f} ({correlation.words})."
        )
    return lacks


def _chance_words(source: Provenance, chance: float) -> str:
    return f"By lot, some option would have {source.held} or more of {source.ballots} in {chance:.1%} of votes."


def _gain_words(source: Provenance) -> str:
    return (
        f"Thinking alone, {source.blind_held} of {source.blind_ballots} held {source.option}; "
        f"now {source.held} of {source.ballots} do."
    )


def _move_words(source: Provenance) -> str:
    if not source.gained:
        return "Nobody had to move to it."
    return f"{source.unevidenced} of the {source.gained} who moved to it cited no claim that was new to them."
