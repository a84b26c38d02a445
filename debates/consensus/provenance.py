"""Where agreement came from: what was thought alone, who moved, and whether a new claim moved them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain, pairwise

from debates.consensus.ballots import ChangeReason, RoundVotes, Vote


@dataclass(frozen=True, slots=True)
class Flip:
    """A seat's move between two of its valid ballots; `source` None: its first valid ballot came after round 0.

    `evidence`: the claims it cites that were new to it. Without one, or under majority pressure, the move is
    unevidenced.
    """

    seat: str
    round: int
    source: str | None
    target: str
    change_reason: ChangeReason
    evidence: tuple[str, ...]

    @property
    def is_evidenced(self) -> bool:
        return bool(self.evidence) and self.change_reason != "majority_pressure"


@dataclass(frozen=True, slots=True)
class Provenance:
    """Heads behind one option in the blind vote and now, and how many of them came over, with evidence or without."""

    option: str
    blind_held: int
    blind_ballots: int
    held: int
    ballots: int
    gained: int
    unevidenced: int

    @property
    def independent_share(self) -> Fraction:
        return Fraction(self.blind_held, max(self.blind_ballots, 1))

    @property
    def converged_share(self) -> Fraction:
        return Fraction(self.held, max(self.ballots, 1))

    @property
    def gain(self) -> Fraction:
        return self.converged_share - self.independent_share

    @property
    def unevidenced_share(self) -> Fraction:
        """U: unevidenced moves of all that brought a present supporter; 0 when nobody moved."""
        return Fraction(self.unevidenced, max(self.gained, 1))


@dataclass(frozen=True, slots=True)
class Holding:
    """A seat's option now, and the round since which it has held it without a break other than abstaining."""

    seat: str
    option: str
    since: int


def provenance_of(option: str, *, rounds: Sequence[RoundVotes]) -> Provenance:
    """Counts each present supporter that ever moved to the option, by its last move there: going away and back counts.

    A supporter whose first valid ballot came after round 0 has gained, too: it had seen the others by then.
    """
    first, last = rounds[0].valid, rounds[-1].valid
    supporters = [vote.seat for vote in last if vote.option == option]
    moves = arrivals(rounds)
    gains = [moves[seat] for seat in supporters if seat in moves]
    return Provenance(
        option=option,
        blind_held=sum(vote.option == option for vote in first),
        blind_ballots=len(first),
        held=len(supporters),
        ballots=len(last),
        gained=len(gains),
        unevidenced=sum(not move.is_evidenced for move in gains),
    )


def arrivals(rounds: Sequence[RoundVotes]) -> dict[str, Flip]:
    """Each seat's last move to the option it holds; none of a seat that has never moved."""
    return {move.seat: move for move in moves_of(rounds)}


def flips_of(rounds: Sequence[RoundVotes]) -> list[Flip]:
    """All changes of option, by round; coming out of an abstention is none."""
    return [move for move in moves_of(rounds) if move.source is not None]


def moves_of(rounds: Sequence[RoundVotes]) -> list[Flip]:
    moves = chain.from_iterable(_moves_of_seat(seat, rounds) for seat in seats_of(rounds))
    return sorted(moves, key=lambda move: (move.round, move.seat))


def seats_of(rounds: Iterable[RoundVotes]) -> list[str]:
    return sorted({vote.seat for held in rounds for vote in held.votes})


def _moves_of_seat(seat: str, rounds: Sequence[RoundVotes]) -> Iterable[Flip]:
    ballots = ballots_of(seat, rounds=rounds)
    if ballots and ballots[0][0] > 0:
        yield _move(None, ballots[0], rounds=rounds)
    for before, after in pairwise(ballots):
        if before[1].option != after[1].option:
            yield _move(before, after, rounds=rounds)


def ballots_of(seat: str, *, rounds: Iterable[RoundVotes]) -> list[tuple[int, Vote]]:
    """(round, ballot) of a seat's valid ballots."""
    found = [(held.number, held.vote_of(seat)) for held in rounds]
    return [(number, vote) for number, vote in found if vote is not None and vote.option is not None]


def _move(before: tuple[int, Vote] | None, after: tuple[int, Vote], *, rounds: Sequence[RoundVotes]) -> Flip:
    number, vote = after
    new = claims_new_to(vote.seat, since=before[0] if before else None, until=number, rounds=rounds)
    source, evidence = before[1].option if before else None, tuple(sorted(vote.cited & new))
    return Flip(vote.seat, number, source, str(vote.option), vote.change_reason, evidence)


def claims_new_to(seat: str, *, since: int | None, until: int, rounds: Sequence[RoundVotes]) -> frozenset[str]:
    """Others' claims that a seat first read between its ballots of round `since` (None: had none) and `until`."""
    found: frozenset[str] = rounds[until].evidence
    for held in rounds[since or 0 : until]:
        is_first = held.number == since
        found |= held.new_claims - held.evidence if is_first else held.new_claims | held.evidence
    own = (vote.claims for held in rounds for vote in held.votes if vote.seat == seat)
    return found.difference(*own)


def holdings_of(rounds: Sequence[RoundVotes]) -> list[Holding]:
    """Of the seats with a valid ballot in the last round."""
    moves = arrivals(rounds)
    now = sorted(rounds[-1].valid, key=lambda vote: vote.seat)
    return [Holding(vote.seat, str(vote.option), moves[vote.seat].round if vote.seat in moves else 0) for vote in now]
