"""How far the ballots agree, beyond what chance would give."""

from collections.abc import Mapping, Sequence
from itertools import combinations

from debates.consensus.ballots import RoundVotes, Settings
from debates.consensus.beliefs import belief_of

LEAST_POSITIONS = 3  # of an ordinal scale


def agreement(counts: Mapping[str, int]) -> float | None:
    """AC: agreeing pairs of ballots beyond chance: 1 all agree, 0 as drawn by lot, below 0 a split. None under two.

    Bennett, Alpert, Goldstein's S (*Public Opinion Quarterly* 1954): chance is 1/K, whatever the options' popularity.
    """
    ballots, chance = sum(counts.values()), 1 / len(counts)
    if ballots <= 1:
        return None
    pairs = sum(count * (count - 1) for count in counts.values()) / (ballots * (ballots - 1))
    return (pairs - chance) / (1 - chance)


def ordinal_agreement(counts: Sequence[int]) -> float:
    """van der Eijk's A over stances in their order: 1 all on one, 0 spread evenly, −1 half at either end.

    C. van der Eijk, "Measuring agreement in ordered rating scales", *Quality & Quantity* 35 (2001): the counts are
    taken apart into layers of equal height, each layer's agreement is weighed by its share.
    """
    if len(counts) < LEAST_POSITIONS:
        raise ValueError("An ordinal scale has at least three positions.")
    total, left, agreed = sum(counts), list(counts), 0.0
    while any(left):
        height = min(count for count in left if count)
        layer = [count > 0 for count in left]
        agreed += _layer_agreement(layer) * height * sum(layer) / total
        left = [count - height if count else 0 for count in left]
    return agreed


def _layer_agreement(layer: Sequence[bool]) -> float:
    spread = (sum(layer) - 1) / (len(layer) - 1)
    return _unimodality(layer) * (1 - spread)


def _unimodality(layer: Sequence[bool]) -> float:
    """From triples of positions: (110, 011) speak for one peak, (101) against it."""
    positions, triples = len(layer), list(combinations(layer, 3))
    one = sum(triple in ((True, True, False), (False, True, True)) for triple in triples)
    two = triples.count((True, False, True))
    if not one + two:
        return 1.0
    return ((positions - 2) * one - (positions - 1) * two) / ((positions - 2) * (one + two))


def movement(before: RoundVotes, after: RoundVotes, *, settings: Settings) -> float:
    """TV: how far the panel moved between two rounds, 0–1: the mean over seats of each seat's own total variation.

    1 for a seat that changed its option (to or from abstaining, too), else the total variation of its belief. Taken
    seat by seat, so that two seats that swap sides do not cancel out.
    """
    seats = sorted({vote.seat for held in (before, after) for vote in held.votes})
    moves = [_movement_of(seat, before, after, settings=settings) for seat in seats]
    return sum(moves) / len(moves) if moves else 0.0


def _movement_of(seat: str, before: RoundVotes, after: RoundVotes, *, settings: Settings) -> float:
    old, new = before.vote_of(seat), after.vote_of(seat)
    if before.option_of(seat) != after.option_of(seat):
        return 1.0
    was, now = (belief_of(vote, settings=settings) if vote else None for vote in (old, new))
    if was is None or now is None:
        return 0.0
    return sum(abs(now.over[option] - was.over[option]) for option in settings.options) / 2


def ranking_agreement(rankings: Sequence[Sequence[str]]) -> float | None:
    """Mean Kendall τ of all pairs of rankings: 1 the same order, −1 one the reverse of the other. None under two.

    Over the options that both rank; pairs of rankings with fewer than two in common tell nothing.
    """
    found = [_kendall(one, other) for one, other in combinations(rankings, 2)]
    known = [tau for tau in found if tau is not None]
    return sum(known) / len(known) if known else None


def _kendall(one: Sequence[str], other: Sequence[str]) -> float | None:
    place = {option: at for at, option in enumerate(other)}
    pairs = list(combinations([place[option] for option in one if option in place], 2))
    return sum(1 if first < second else -1 for first, second in pairs) / len(pairs) if pairs else None
