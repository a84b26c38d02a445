"""What the mathematics is given: ballots of rounds, and what was fixed before the start.

Options are named by any stable id (the debate's, not the letters shuffled per seat). Everything here is frozen and
plain, so the same rounds always give the same evaluation.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from debates.consensus.calibration import Calibration

BeliefSource = Literal["stated", "measured", "probe"]
ChangeReason = Literal[
    "none",
    "new_evidence",
    "found_error_in_mine",
    "persuaded_by_argument",
    "question_clarified",
    "majority_pressure",
]

LEAST_BALLOTS = 3


class BadBallot(ValueError):
    """Rounds or settings that contradict each other; its words say what."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Vote:
    """One seat's ballot at the end of one round.

    `option` None is an abstention, of which `abstained` says why ("unparsed", "run failed", "chose to abstain").
    `confidence` is what the seat stated, 0–100; 0 is a value, None is none given: then the seat counts by its head,
    and no formula that weighs confidence knows it. `belief` is the measured or the probed distribution over the
    options, whichever `Settings.belief` names; it need not sum to 1, options it leaves out have next to none. `claims`
    are the ids of the claims put forward with this very ballot, `cited` those it leans on. `ranking` goes from best to
    worst; what it leaves out comes last, except `unranked`: options the seat was not asked about (its own answer).
    """

    seat: str
    option: str | None
    confidence: float | None = None
    belief: Mapping[str, float] | None = None
    claims: frozenset[str] = frozenset()
    cited: frozenset[str] = frozenset()
    change_reason: ChangeReason = "none"
    model: str = ""
    abstained: str = ""
    ranking: tuple[str, ...] = ()
    unranked: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundVotes:
    """The ballots of a round, released together.

    `new_claims`: ids first put on the board in this round. Those among them that the seats had read before they filled
    in this round's ballots (the challenger's, the checker's, injected evidence) stand in `evidence` too; the rest came
    with the ballots and is read in the next round. `refuted_unanswered`: load-bearing claims that stand refuted and
    unanswered at its end. `is_exchange`: the seats saw anything of each other before they voted (never so in round 0).
    """

    number: int
    votes: tuple[Vote, ...]
    new_claims: frozenset[str] = frozenset()
    evidence: frozenset[str] = frozenset()
    refuted_unanswered: frozenset[str] = frozenset()
    is_exchange: bool = True
    is_challenge: bool = False

    @property
    def valid(self) -> tuple[Vote, ...]:
        return tuple(vote for vote in self.votes if vote.option is not None)

    def vote_of(self, seat: str) -> Vote | None:
        return next((vote for vote in self.votes if vote.seat == seat), None)

    def option_of(self, seat: str) -> str | None:
        vote = self.vote_of(seat)
        return vote.option if vote else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What was fixed before the start, and what only the engine can know.

    `seats` counts the seats that have a vote. `rule` is a key of RULES. `max_rounds` is the number of the last round
    allowed (round 0 not counted), `challenges` how many the protocol holds by itself. `calibrations`: by model, for
    this belief source. `correlation`: measured between the votes of such a panel (`measured_correlation`), else one is
    assumed. `is_ordinal`: the options are stances in their order. `judged`: the option a judge chose.
    """

    options: tuple[str, ...]
    seats: int
    rule: str = "three-quarters"
    belief: BeliefSource = "stated"
    max_rounds: int = 3
    challenges: int = 1
    calibrations: Mapping[str, Calibration] = field(default_factory=dict)
    correlation: float | None = None
    is_ordinal: bool = False
    judged: str | None = None
    is_stopped: bool = False  # by its user
    is_out_of_budget: bool = False


def counts_of(votes: Iterable[Vote], *, options: Iterable[str]) -> dict[str, int]:
    """Heads per option, abstentions left out, in the order of the options."""
    found = Counter(vote.option for vote in votes)
    return {option: found[option] for option in options}


def leader_of(counts: Mapping[str, int]) -> str | None:
    """The one option with the most ballots; None when two share that place, or nobody voted."""
    most = max(counts.values())
    leaders = [option for option, count in counts.items() if count == most]
    return leaders[0] if most and len(leaders) == 1 else None


def quorum(seats: int) -> int:
    """Valid ballots needed: two thirds of the seats, rounded up, and never under three."""
    return max(LEAST_BALLOTS, -(-2 * seats // 3))


def check(rounds: Sequence[RoundVotes], *, options: tuple[str, ...]) -> None:
    """Raise BadBallot rather than count what nobody can have meant."""
    if not rounds:
        raise BadBallot("There is nothing to evaluate before round 0.")
    if len(options) <= 1 or len(set(options)) < len(options):
        raise BadBallot("A question has at least two options, each of them once.")
    for index, held in enumerate(rounds):
        if held.number != index:
            raise BadBallot("Rounds are given from round 0 on, in their order and without a gap.")
        _check_round(held, options=frozenset(options))


def _check_round(held: RoundVotes, *, options: frozenset[str]) -> None:
    seats = [vote.seat for vote in held.votes]
    if len(set(seats)) < len(seats):
        raise BadBallot(f"A seat has two ballots in round {held.number}.")
    for vote in held.votes:
        named = {vote.option, *vote.ranking, *vote.unranked, *(vote.belief or ())} - {None}
        if not named <= options:
            raise BadBallot(f"{vote.seat} names an option that the question does not have.")
