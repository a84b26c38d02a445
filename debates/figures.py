"""What the panels of the stage draw, from rows alone: the same for late joiners, replays and print."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from debates.models import Ballot, Claim, Debate, Round, Seat

FAR_APART = 25  # percentage points between what is said and what is measured, from where on it is pointed out

CHANGE_WORDS = {
    "new_evidence": "new evidence",
    "found_error_in_mine": "found an error in its own answer",
    "persuaded_by_argument": "persuaded by an argument",
    "question_clarified": "the question became clearer",
    "majority_pressure": "because of the majority",
}


@dataclass(frozen=True, slots=True)
class Option:
    """`id` is a letter, and always stands beside the colour, which tells nothing alone. `place` picks that, from 1."""

    id: str
    text: str
    place: int


@dataclass(frozen=True, slots=True)
class Vote:
    """A ballot as it is shown. `confidence`, `measured` in percent; None: none was given, or could not be had."""

    ballot: Ballot
    seat: Seat
    option: Option | None
    confidence: int | None
    measured: int | None
    moved_from: Option | None = None

    @property
    def opacity(self) -> float:
        """Of its colour: more confident is stronger; what no confidence came with is in between."""
        return 0.55 if self.confidence is None else round(0.15 + 0.85 * self.confidence / 100, 2)

    @property
    def is_far_apart(self) -> bool:
        if self.confidence is None or self.measured is None:
            return False
        return abs(self.confidence - self.measured) >= FAR_APART

    @property
    def abstention(self) -> str:
        reason = self.ballot.abstention
        return {"chosen": "chose to abstain", "unparsed": "its ballot could not be read"}.get(reason, reason)


@dataclass(frozen=True, slots=True)
class Tally:
    """One option's heads, blind and now; shares in percent of the panel."""

    option: Option
    blind: int
    now: int
    blind_share: float
    now_share: float
    is_right: bool


@dataclass(frozen=True, slots=True)
class Pair:
    """Two seats: in how many of the rounds in which both voted they held the same."""

    together: int
    rounds: int
    now: Option | None  # what both hold

    @property
    def words(self) -> str:
        return f"{self.together} of {self.rounds}" if self.rounds else "–"


@dataclass(frozen=True, slots=True)
class Move:
    round: int
    seat: str
    source: Option | None
    target: Option | None
    why: str
    claims: list[str]
    is_evidenced: bool


@dataclass(frozen=True, slots=True)
class Quoted:
    """A claim with the seats whose ballots cite it, each once."""

    claim: Claim
    option: Option | None
    citing: list[Seat]


@dataclass(frozen=True, kw_only=True)
class Course:
    """A debate's rows up to a moment: the ballots of `rounds` that lie behind their barrier, and nothing else."""

    debate: Debate
    seats: list[Seat]
    rounds: list[Round]
    claims: list[Claim]
    options: list[Option] = field(init=False)

    def __post_init__(self) -> None:
        shown = [option_shown(option, place) for place, option in enumerate(self.debate.options, 1)]
        object.__setattr__(self, "options", shown)

    @property
    def voters(self) -> list[Seat]:
        return [seat for seat in self.seats if seat.votes]

    @property
    def voted(self) -> list[Round]:
        return [held for held in self.rounds if is_revealed(held) and _panel_ballots(held)]

    @property
    def metrics(self) -> dict[str, Any]:
        """Of the last round that was scored; empty before the first."""
        return next((held.metrics for held in reversed(self.rounds) if held.metrics), {})

    @property
    def reference(self) -> str:
        """What the logs know its last runs by: of a failure that had no run of its own."""
        said = (speech for held in reversed(self.rounds) for speech in held.speeches.all())
        return next((speech.run.request_id for speech in said if speech.run and speech.run.request_id), "")

    def option(self, id: str | None) -> Option | None:
        return next((option for option in self.options if option.id == id), None)


def option_shown(option: Mapping[str, str], place: int) -> Option:
    return Option(option["id"], option["text"], place)


def is_revealed(held: Round) -> bool:
    """Are its ballots in? Nobody sees one before."""
    return held.step == "scored"


def _panel_ballots(held: Round) -> list[Ballot]:
    return [ballot for ballot in held.ballots.all() if not ballot.is_judgement]


def votes_by_round(course: Course) -> list[dict[UUID, Vote]]:
    """Seat → vote, for each round whose ballots are in."""
    seats = {seat.pk: seat for seat in course.seats}
    held: dict[UUID, str] = {}
    rounds = []
    for round in course.voted:
        votes = {}
        for ballot in _panel_ballots(round):
            votes[ballot.seat_id] = _vote(ballot, seats[ballot.seat_id], before=held.get(ballot.seat_id), course=course)
            if ballot.option:
                held[ballot.seat_id] = ballot.option
        rounds.append(votes)
    return rounds


def _vote(ballot: Ballot, seat: Seat, *, before: str | None, course: Course) -> Vote:
    belief = ballot.probed or ballot.measured or {}
    measured = belief.get(ballot.option) if ballot.option else None
    return Vote(
        ballot=ballot,
        seat=seat,
        option=course.option(ballot.option) if ballot.status == Ballot.Status.CAST else None,
        confidence=None if ballot.confidence is None else round(ballot.confidence),
        measured=None if measured is None else round(measured * 100),
        moved_from=course.option(before) if before and ballot.option and before != ballot.option else None,
    )


def trajectory(course: Course, votes: Sequence[Mapping[UUID, Vote]]) -> list[tuple[Seat, list[Vote | None]]]:
    return [(seat, [held.get(seat.pk) for held in votes]) for seat in course.voters]


def tallies(course: Course, votes: Sequence[Mapping[UUID, Vote]]) -> list[Tally]:
    panel = max(len(course.voters), 1)
    blind, now = (_heads(held) for held in ((votes[0], votes[-1]) if votes else ({}, {})))
    return [
        Tally(
            option=option,
            blind=blind.get(option.id, 0),
            now=now.get(option.id, 0),
            blind_share=round(100 * blind.get(option.id, 0) / panel, 1),
            now_share=round(100 * now.get(option.id, 0) / panel, 1),
            is_right=option.id == course.debate.right_option,
        )
        for option in course.options
    ]


def _heads(votes: Mapping[UUID, Vote]) -> dict[str, int]:
    heads: dict[str, int] = {}
    for vote in votes.values():
        if vote.option:
            heads[vote.option.id] = heads.get(vote.option.id, 0) + 1
    return heads


def needed_share(course: Course) -> float | None:
    """Where, in percent of the panel, the mark of what the rule needs stands; None where it counts no heads."""
    needed = course.metrics.get("decision", {}).get("needed")
    return None if needed is None else round(100 * needed / max(len(course.voters), 1), 1)


def matrix(course: Course, votes: Sequence[Mapping[UUID, Vote]]) -> list[tuple[Seat, list[Pair | None]]]:
    """Every seat with every other; None on the diagonal."""
    voters = course.voters
    return [(one, [None if one == other else _pair(one, other, votes) for other in voters]) for one in voters]


def _pair(one: Seat, other: Seat, votes: Sequence[Mapping[UUID, Vote]]) -> Pair:
    held = [(_held(one, round), _held(other, round)) for round in votes]
    both = [pair for pair in held if all(pair)]
    now = held[-1][0] if held and held[-1][0] == held[-1][1] else None
    return Pair(together=sum(a == b for a, b in both), rounds=len(both), now=now)


def _held(seat: Seat, votes: Mapping[UUID, Vote]) -> Option | None:
    vote = votes.get(seat.pk)
    return vote.option if vote else None


def moves(course: Course) -> list[Move]:
    numbers = [held.number for held in course.voted]
    return [
        Move(
            round=numbers[flip["round"]] if flip["round"] < len(numbers) else flip["round"],
            seat=flip["seat"],
            source=course.option(flip["source"]),
            target=course.option(flip["target"]),
            why=CHANGE_WORDS.get(flip["change_reason"], ""),
            claims=list(flip["evidence"]),
            is_evidenced=flip["is_evidenced"],
        )
        for flip in course.metrics.get("flips", [])
    ]


def board(course: Course, votes: Sequence[Mapping[UUID, Vote]]) -> list[Quoted]:
    citing = _citing(votes)
    claims = [claim for claim in course.claims if claim.round_id in {held.pk for held in course.rounds}]
    return [Quoted(claim, course.option(claim.option), citing.get(claim.number, [])) for claim in claims]


def _citing(votes: Iterable[Mapping[UUID, Vote]]) -> dict[int, list[Seat]]:
    found: dict[int, dict[UUID, Seat]] = {}
    for held in votes:
        for vote in held.values():
            for number in vote.ballot.cited:
                found.setdefault(number, {})[vote.seat.pk] = vote.seat
    return {number: list(seats.values()) for number, seats in found.items()}
