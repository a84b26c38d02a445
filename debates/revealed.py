"""What may be told of a debate: its rounds that are over. Ballots of a round under way are nobody's business yet."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any
from uuid import UUID

from django.db.models import Prefetch

from debates.models import Ballot, Claim, Debate, Round, Seat, Speech

TEXTS_OF_RUNS = ("run__messages", "run__format", "run__logprobs", "run__text", "run__thinking")


@dataclass(frozen=True)
class Revealed:
    """Rounds carry their speeches, ballots and seats; claims are those of these rounds.

    `broken_off`: the round in which a debate was ended, if it was ended in one; its ballots are not for showing.
    """

    debate: Debate
    seats: list[Seat]
    rounds: list[Round]
    broken_off: list[Round]
    claims: list[Claim]

    @cached_property
    def voted(self) -> list[Round]:
        """Rounds with ballots, in the order in which `consensus` numbers them."""
        return [round for round in self.rounds if round.ballots.all()]

    @cached_property
    def scored(self) -> Round | None:
        """The last round with figures."""
        return next((round for round in reversed(self.rounds) if round.metrics), None)

    @cached_property
    def ballots(self) -> dict[UUID, list[tuple[int, Ballot]]]:
        """Seat → (round, valid ballot), the last one last; without the judge's."""
        found: dict[UUID, list[tuple[int, Ballot]]] = {}
        for round in self.rounds:
            for ballot in panel_ballots(round):
                if ballot.status == Ballot.Status.CAST:
                    found.setdefault(ballot.seat_id, []).append((round.number, ballot))
        return found

    @cached_property
    def citing(self) -> dict[int, set[UUID]]:
        """Claim's number → the seats that have cited it."""
        found: dict[int, set[UUID]] = {}
        for seat, ballots in self.ballots.items():
            for number in {number for _, ballot in ballots for number in ballot.cited}:
                found.setdefault(number, set()).add(seat)
        return found


def panel_ballots(round: Round) -> list[Ballot]:
    return [ballot for ballot in round.ballots.all() if not ballot.is_judgement]


def reveal(debate: Debate) -> Revealed:
    rounds = list(debate.rounds.filter(step="scored").prefetch_related(_with_run(Speech), _with_run(Ballot)))
    claims = debate.claims.filter(round__in=rounds).select_related("seat", "round", "checked_in")
    return Revealed(
        debate=debate,
        seats=list(debate.seats.all()),
        rounds=rounds,
        broken_off=_broken_off(debate),
        claims=list(claims),
    )


def _with_run(model: type[Speech] | type[Ballot]) -> "Prefetch[Any]":
    """What went wrong with one has a reference, which its run knows."""
    rows = model._default_manager.select_related("seat", "run").defer(*TEXTS_OF_RUNS)
    return Prefetch("speeches" if model is Speech else "ballots", rows)


def _broken_off(debate: Debate) -> list[Round]:
    if debate.status != Debate.Status.ENDED:
        return []
    return list(debate.rounds.exclude(step="scored").prefetch_related(_with_run(Speech)))
