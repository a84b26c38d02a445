"""A fork: the same debate up to a round, and from there on another course, with the same panel or a changed one.

A seat is kept when the new panel has its agent with its model, and keeps what it said and how it voted. Who leaves the
panel leaves its words and claims, which others answered and cited, but no ballots: those are the panel's.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, TypeVar
from uuid import UUID, uuid4

from django.db import transaction
from django.db.models import Model

from agents.errors import AgentDisabled
from agents.limits import one_at_a_time
from agents.models import Agent
from debates import limits, tasks
from debates.consensus import evaluate
from debates.errors import CannotFork
from debates.events import say
from debates.launching import ALIASES, Place, check_panel, take_seats
from debates.models import Ballot, Claim, Debate, Injection, Round, Seat, Speech
from debates.protocols import PROTOCOLS, Protocol
from debates.rounds import challenges_of
from debates.votes import rounds_of, settings_of

COPIED = (
    "question", "background", "options", "is_open", "reviews_options", "protocol", "rule", "belief",
    "max_rounds", "max_tokens", "max_minutes", "speech_tokens",
)  # fmt: skip
LONGEST_NAME = 80
Row = TypeVar("Row", bound=Model)


def fork(debate: Debate, *, after: int, panel: Sequence[Place] | None = None, owner: Any) -> Debate:
    """A debate under way that shares the rounds 0 … `after`. No panel: the same one.

    What was copied costs it nothing. Raises CannotFork, TooManyDebates, TokensUsedUp; what `launching.start` raises for
    a panel.
    """
    rounds = _rounds(debate, after=after)
    course = PROTOCOLS[debate.protocol]
    copy = Debate(owner=owner, parent=debate, forked_after=after, **{name: getattr(debate, name) for name in COPIED})
    copy.max_rounds = _room_for_more(copy, rounds, course)
    old = list(debate.seats.select_related("agent"))
    places = _kept(take_seats(copy, _as_they_sat(old) if panel is None else panel), old)
    _check_kept(places, old, course=course)
    panel_now = [place.kept or place.new for place in places]
    check_panel(copy, course, panel_now)
    limits.check_size(owner, seats=len(panel_now), tokens=copy.max_tokens)
    with transaction.atomic():
        one_at_a_time(owner.pk)
        limits.check(owner, least_tokens=1)
        copy.save(force_insert=True)
        _copy_rounds(copy, rounds, seats=_take_seats(copy, places, old, rounds))
        _copy_injections(copy, debate, after=after)
        _evaluate(copy)
        say(f"user:{owner.pk}", {"type": "debate.listed", "debate": str(copy.pk), "change": "started"})
        tasks.ring(copy.pk)
    return copy


def _rounds(debate: Debate, *, after: int) -> list[Round]:
    rounds = list(debate.rounds.prefetch_related("speeches", "ballots", "claims"))
    scored = [round.number for round in rounds if round.step == "scored"]
    if not scored:
        raise CannotFork("No round of this debate is over yet. Wait for the first.")
    if after not in scored:
        raise CannotFork(f"Round {after} is not over. Fork after one of: {', '.join(map(str, scored))}.")
    return [round for round in rounds if round.number <= after]


def _room_for_more(debate: Debate, rounds: list[Round], course: Protocol) -> int:
    """`max_rounds` such that at least one round can follow. Challenges come on top of it."""
    if course.is_scripted:
        held, most = len(rounds), len(course.script)
    else:
        held, most = sum(round.kind != Round.Kind.CHALLENGE for round in rounds), course.most
    is_challenge_next = course.is_challenged_at_once and held == len(rounds)
    if held >= most and not is_challenge_next:
        raise CannotFork(f"Nothing comes after round {rounds[-1].number} of {course.name}. Fork after an earlier one.")
    return max(debate.max_rounds, min(held + 1, most))


def _as_they_sat(seats: list[Seat]) -> list[Place]:
    for seat in seats:
        if seat.agent is None:
            raise AgentDisabled(f"The agent of {seat.name} is gone. Name a panel without it.")
    return [Place(seat.agent, seat.model) for seat in seats if seat.agent]


@dataclass(frozen=True, slots=True)
class _Place:
    """A seat of the fork's panel; `kept`: the parent's seat that goes on in it."""

    new: Seat
    kept: Seat | None


def _kept(panel: list[Seat], old: list[Seat]) -> list[_Place]:
    """Each old seat goes on in one new one at most, in that at its own position rather than in another."""
    free = list(old)
    found: dict[int, Seat] = {}
    for is_same_position in (True, False):
        for new in panel:
            match = next((seat for seat in free if _goes_on(seat, new, is_same_position)), None)
            if match and new.position not in found:
                found[new.position] = match
                free.remove(match)
    return [_Place(new, found.get(new.position)) for new in panel]


def _goes_on(old: Seat, new: Seat, is_same_position: bool) -> bool:
    is_same = (old.agent_id, old.model, old.votes, old.side) == (new.agent_id, new.model, new.votes, new.side)
    return is_same and (old.position == new.position or not is_same_position)


def _check_kept(places: list[_Place], old: list[Seat], *, course: Protocol) -> None:
    kept = [place.kept for place in places if place.kept]
    if course.slug == "oxford" and len(kept) < max(len(old), len(places)):
        raise CannotFork(f"{course.name} goes on with the debaters it began with. Fork it with the same panel.")
    if not any(seat.votes or seat.side for seat in kept):
        raise CannotFork("No voter of this panel was in the debate, so nothing would go on. Start a new debate.")


def _take_seats(debate: Debate, places: list[_Place], old: list[Seat], rounds: list[Round]) -> dict[UUID, Seat]:
    """Old seat's id → the seat that has its words now."""
    kept = {place.kept.pk for place in places if place.kept}
    left = [seat for seat in old if seat.pk not in kept and _has_spoken(seat, rounds)]
    taken = {seat.name for seat in (*left, *(place.kept for place in places if place.kept))}
    aliases = _free_aliases({seat.alias for seat in old})
    seats: dict[UUID, Seat] = {}
    new: list[Seat] = []
    for place in places:
        if place.kept:
            seats[place.kept.pk] = _copy(place.kept, debate=debate, position=place.new.position)
        else:
            place.new.name, place.new.alias = _free_name(place.new.name, taken), next(aliases)
            taken.add(place.new.name)
            new.append(place.new)
    for position, seat in enumerate(left, len(places)):
        seats[seat.pk] = _copy(seat, debate=debate, position=position, votes=False, role=_role_left(seat))
    Seat.objects.bulk_create([*new, *seats.values()])
    return seats


def _has_spoken(seat: Seat, rounds: list[Round]) -> bool:
    speakers = {speech.seat_id for round in rounds for speech in round.speeches.all()}
    return seat.pk in speakers | {claim.seat_id for round in rounds for claim in round.claims.all()}


def _role_left(seat: Seat) -> str:
    """A Moderator who has left must not be taken for the one there is; a voter without a vote is not mistaken."""
    return seat.role if seat.votes else Agent.Role.ASSISTANT


def _free_aliases(taken: set[str]) -> Iterator[str]:
    """In no order; of two letters once the single ones are used up."""
    letters = random.SystemRandom().sample(ALIASES, len(ALIASES))
    longer = ("".join(pair) for pair in product(ALIASES, repeat=2))
    yield from (alias for alias in (*letters, *longer) if alias not in taken)


def _free_name(name: str, taken: set[str]) -> str:
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{name[: LONGEST_NAME - 4]} {number}"
    return free


def _copy(row: Row, **changes: Any) -> Row:
    """The same row again, not saved yet."""
    fields = {field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields}
    copied = type(row)(**{**fields, "id": uuid4()})
    for name, value in changes.items():
        setattr(copied, name, value)
    return copied


def _copy_rounds(debate: Debate, rounds: list[Round], *, seats: dict[UUID, Seat]) -> None:
    copies = {round.pk: _copy(round, debate=debate, scored_at=round.started_at) for round in rounds}  # costs no time
    Round.objects.bulk_create(copies.values())
    Speech.objects.bulk_create(
        _copy(speech, round=copies[round.pk], seat=seats[speech.seat_id], run=None, data=_data(speech, seats))
        for round in rounds
        for speech in round.speeches.all()
        if speech.kind != Speech.Kind.VERDICT and speech.seat_id in seats
    )
    Ballot.objects.bulk_create(
        _copy(ballot, round=copies[round.pk], seat=seats[ballot.seat_id], run=None)
        for round in rounds
        for ballot in round.ballots.all()
        if _is_copied(ballot, round) and ballot.seat_id in seats and _still_sits(seats[ballot.seat_id], ballot)
    )
    Claim.objects.bulk_create(
        _copy(claim, debate=debate, round=copies[round.pk], seat=_seat_of(claim, seats), **_check_of(claim, copies))
        for round in rounds
        for claim in round.claims.all()
    )


def _seat_of(claim: Claim, seats: dict[UUID, Seat]) -> Seat | None:
    return seats[claim.seat_id] if claim.seat_id else None


def _is_copied(ballot: Ballot, round: Round) -> bool:
    """A judgement at the end of the parent is none of a debate that goes on; those of Oxford's legs stay."""
    return not ballot.is_judgement or round.kind == Round.Kind.CLOSING


def _still_sits(seat: Seat, ballot: Ballot) -> bool:
    return seat.votes or ballot.is_judgement


def _data(speech: Speech, seats: dict[UUID, Seat]) -> Any:
    """A ranking names seats."""
    if speech.kind != Speech.Kind.RANKING or not speech.data:
        return speech.data
    names = {str(old): str(new.pk) for old, new in seats.items()}
    return [names[seat] for seat in speech.data if seat in names]


def _check_of(claim: Claim, copies: dict[UUID, Round]) -> dict[str, Any]:
    """What was checked after the round of the fork is not checked yet."""
    if claim.checked_in_id in copies:
        return {"checked_in": copies[claim.checked_in_id]}
    return {"checked_in": None, "status": Claim.Status.UNCHECKED, "note": ""}


def _copy_injections(debate: Debate, parent: Debate, *, after: int) -> None:
    """What had been put before the seats when the parent went on to its next round."""
    following = parent.rounds.filter(number=after + 1).first()
    told = parent.injections.filter(created_at__lte=following.started_at) if following else parent.injections.all()
    Injection.objects.bulk_create(_copy(injection, debate=debate) for injection in told)


def _evaluate(debate: Debate) -> None:
    """By the ballots of this panel. What stopped the parent does not stop what was forked to go on."""
    votes = rounds_of(debate)
    settings = settings_of(debate, rounds=debate.max_rounds, challenges=challenges_of(debate))
    with_ballots = debate.rounds.exclude(ballots=None).distinct()
    for place, round in enumerate(with_ballots):
        metrics = evaluate(votes[: place + 1], settings).as_dict()
        round.metrics = {**metrics, "stop": None, "stop_reason": None}
        round.save(update_fields=["metrics"])
    debate.rounds.filter(ballots=None).update(metrics=None)
