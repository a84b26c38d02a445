"""Ranked ballots, counted by Schulze's method (*Social Choice and Welfare* 36, 2011; winning votes)."""

from collections.abc import Iterable, Sequence
from itertools import permutations

from debates.consensus.ballots import Vote

Pair = tuple[str, str]


def ranked_votes(votes: Iterable[Vote]) -> list[Vote]:
    return [vote for vote in votes if vote.ranking]


def preferences(votes: Iterable[Vote], *, options: Sequence[str]) -> dict[Pair, int]:
    """For each ordered pair of options, how many ballots put the first above the second."""
    found = dict.fromkeys(permutations(options, 2), 0)
    for vote in votes:
        for first, second in _pairs(vote, options=options):
            found[first, second] += 1
    return found


def _pairs(vote: Vote, *, options: Sequence[str]) -> Iterable[Pair]:
    """What it left out stands last, side by side; what it was not asked about stands nowhere."""
    rest = [option for option in options if option not in vote.ranking and option not in vote.unranked]
    for at, option in enumerate(vote.ranking):
        for worse in (*vote.ranking[at + 1 :], *rest):
            yield option, worse


def strongest_paths(votes: Iterable[Vote], *, options: Sequence[str]) -> dict[Pair, int]:
    liked = preferences(votes, options=options)
    paths = {(one, other): count if count > liked[other, one] else 0 for (one, other), count in liked.items()}
    for via, start, end in permutations(options, 3):
        paths[start, end] = max(paths[start, end], min(paths[start, via], paths[via, end]))
    return paths


def schulze_winners(votes: Iterable[Vote], *, options: Sequence[str]) -> list[str]:
    """Options that no other beats; more than one is a tie."""
    paths = strongest_paths(votes, options=options)
    return [
        option
        for option in options
        if all(paths[option, other] >= paths[other, option] for other in options if other != option)
    ]
