"""The dissent report: who holds what did not win, since when, on what grounds, and what was left unanswered."""

from collections.abc import Iterable
from typing import Any, TypedDict
from uuid import UUID

from debates.models import Ballot, Claim, Debate, Seat, Speech
from debates.revealed import Revealed, panel_ballots, reveal
from debates.votes import unanswered

ABSTAINED = {"chosen": "chose to abstain", "unparsed": "no valid ballot could be read", "": "no reason is known"}


class Person(TypedDict):
    seat: str  # id
    name: str
    role: str
    model: str
    alias: str


class Holder(Person):
    since: int  # the round
    confidence: float | None  # stated, 0–100
    reason: str
    would_change_if: str


class Grounds(TypedDict):
    number: int
    text: str
    kind: str
    status: str
    status_words: str
    note: str  # the Fact-Checker's
    by: str
    round: int
    cited_by: int  # seats


class Critique(TypedDict):
    claim: Grounds
    words: str


class Position(TypedDict):
    option: str
    text: str
    holders: list[Holder]
    strongest: Grounds | None
    unanswered: list[Critique]


class FlipShown(TypedDict):
    seat: str
    name: str
    round: int
    source: str
    target: str
    source_text: str
    target_text: str
    cited: list[int]
    new_to_it: list[int]  # of the cited ones
    change_reason: str
    is_evidenced: bool
    words: str


class AbstentionShown(TypedDict):
    seat: str
    name: str
    round: int
    reason: str
    words: str
    reference: str  # of one that was not chosen


class Failure(TypedDict):
    seat: str
    name: str
    round: int
    kind: str
    error: str
    reference: str  # what the logs know it by


class Dissent(TypedDict):
    """One position per option that is held and did not win; all held ones where nothing was decided."""

    positions: list[Position]
    flips: list[FlipShown]
    abstentions: list[AbstentionShown]
    failures: list[Failure]


def dissent(debate: Debate, *, winner: str | None) -> Dissent:
    return dissent_of(reveal(debate), winner=winner)


def dissent_of(seen: Revealed, *, winner: str | None) -> Dissent:
    return Dissent(
        positions=[_position(option, text, seen) for option, text in _lost(seen, winner=winner)],
        flips=flips_of(seen),
        abstentions=abstentions_of(seen),
        failures=failures_of(seen),
    )


def _lost(seen: Revealed, *, winner: str | None) -> list[tuple[str, str]]:
    """The most held first."""
    held = [ballot.option for ballot in _now(seen).values()]
    lost = [(option, text) for option, text in seen.debate.option_texts.items() if option in held and option != winner]
    return sorted(lost, key=lambda option: -held.count(option[0]))


def _now(seen: Revealed) -> dict[UUID, Ballot]:
    """Valid ballots of the last round that had any of the panel's."""
    last = next((ballots for round in reversed(seen.voted) if (ballots := panel_ballots(round))), [])
    return {ballot.seat_id: ballot for ballot in last if ballot.status == Ballot.Status.CAST}


def _position(option: str, text: str, seen: Revealed) -> Position:
    holders = [seat for seat in seen.seats if _holds(seat, option, seen)]
    return Position(
        option=option,
        text=text,
        holders=[_holder(seat, seen) for seat in holders],
        strongest=_strongest(option, seen),
        unanswered=_critiques(option, {seat.pk for seat in holders}, seen),
    )


def _holds(seat: Seat, option: str, seen: Revealed) -> bool:
    ballot = _now(seen).get(seat.pk)
    return ballot is not None and ballot.option == option


def _holder(seat: Seat, seen: Revealed) -> Holder:
    ballots = seen.ballots[seat.pk]
    last = ballots[-1][1]
    return Holder(
        **_person(seat),
        since=_since(ballots),
        confidence=last.confidence,
        reason=last.reason,
        would_change_if=last.would_change_if,
    )


def _since(ballots: list[tuple[int, Ballot]]) -> int:
    """The first round of the last unbroken stretch; abstaining does not break it."""
    since, held = ballots[-1][0], ballots[-1][1].option
    for number, ballot in reversed(ballots):
        if ballot.option != held:
            break
        since = number
    return since


def _person(seat: Seat) -> Person:
    return Person(seat=str(seat.pk), name=seat.name, role=seat.get_role_display(), model=seat.model, alias=seat.alias)


def _strongest(option: str, seen: Revealed) -> Grounds | None:
    """The most cited, then the newest."""
    claims = [claim for claim in seen.claims if claim.option == option]
    best = max(claims, key=lambda claim: (len(_citing(claim, seen)), claim.round.number, claim.number), default=None)
    return None if best is None else _grounds(best, seen)


def _citing(claim: Claim, seen: Revealed) -> set[UUID]:
    return seen.citing.get(claim.number, set()) - {claim.seat_id}


def _grounds(claim: Claim, seen: Revealed) -> Grounds:
    return Grounds(
        number=claim.number,
        text=claim.text,
        kind=claim.kind,
        status=claim.status,
        status_words=claim.get_status_display(),
        note=claim.note,
        by=claim.by,
        round=claim.round.number,
        cited_by=len(_citing(claim, seen)),
    )


def _critiques(option: str, holders: set[UUID], seen: Revealed) -> list[Critique]:
    """Its own claims that stand refuted, and others' claims that moved a seat away and no holder has taken up."""
    refuted = [
        Critique(claim=_grounds(claim, seen), words=f"Claim {claim.number} of {claim.by} stands refuted.")
        for claim in _refuted(option, seen)
    ]
    moved: dict[int, list[str]] = {}
    for flip in flips_of(seen):
        for number in flip["new_to_it"] if flip["source"] == option else ():
            moved.setdefault(number, []).append(flip["name"])
    told = [
        claim for claim in seen.claims if claim.number in moved and not seen.citing.get(claim.number, set()) & holders
    ]
    return refuted + [
        Critique(
            claim=_grounds(claim, seen),
            words=f"Claim {claim.number} moved {_and(moved[claim.number])} away; nobody here has taken it up.",
        )
        for claim in told
    ]


def _refuted(option: str, seen: Revealed) -> list[Claim]:
    if not seen.voted:
        return []
    last = seen.voted[-1]
    numbers = unanswered(last, votes=panel_ballots(last), claims=seen.claims)
    return [claim for claim in seen.claims if claim.number in numbers and claim.option == option]


def _and(names: Iterable[str]) -> str:
    *first, last = dict.fromkeys(names)
    return f"{', '.join(first)} and {last}" if first else last


def flips_of(seen: Revealed) -> list[FlipShown]:
    """As `consensus` found them, with the words, numbers and ids of the rows."""
    found: list[dict[str, Any]] = seen.scored.metrics["flips"] if seen.scored and seen.scored.metrics else []
    return [_flip(flip, seen) for flip in found]


def _flip(flip: dict[str, Any], seen: Revealed) -> FlipShown:
    round, texts = seen.voted[flip["round"]], seen.debate.option_texts
    ballot = next(ballot for ballot in panel_ballots(round) if ballot.seat.name == flip["seat"])
    source, target = texts.get(flip["source"], flip["source"]), texts.get(flip["target"], flip["target"])
    return FlipShown(
        seat=str(ballot.seat_id),
        name=flip["seat"],
        round=round.number,
        source=flip["source"],
        target=flip["target"],
        source_text=source,
        target_text=target,
        cited=sorted(ballot.cited),
        new_to_it=sorted(int(number) for number in flip["evidence"]),
        change_reason=flip["change_reason"],
        is_evidenced=flip["is_evidenced"],
        words=f"{flip['seat']}: “{source}” → “{target}”, {_why(flip, cited=sorted(ballot.cited))}.",
    )


def _why(flip: dict[str, Any], *, cited: list[int]) -> str:
    if flip["change_reason"] == "majority_pressure":
        return "because of the majority"
    if flip["evidence"]:
        numbers = sorted(int(number) for number in flip["evidence"])
        return f"cites claim{'s' * (len(numbers) > 1)} {', '.join(map(str, numbers))}"
    return "cites nothing new to it" if cited else "cites nothing"


def abstentions_of(seen: Revealed) -> list[AbstentionShown]:
    return [
        AbstentionShown(
            seat=str(ballot.seat_id),
            name=ballot.seat.name,
            round=round.number,
            reason=ballot.abstention,
            words=ABSTAINED.get(ballot.abstention, ballot.abstention),
            reference=ballot.reference,
        )
        for round in seen.rounds
        for ballot in panel_ballots(round)
        if ballot.status == Ballot.Status.ABSTAINED
    ]


def failures_of(seen: Revealed) -> list[Failure]:
    """Of speeches; a ballot whose run failed is an abstention."""
    return [
        Failure(
            seat=str(speech.seat_id),
            name=speech.seat.name,
            round=round.number,
            kind=speech.kind,
            error=speech.error,
            reference=speech.reference,
        )
        for round in seen.rounds
        for speech in round.speeches.all()
        if speech.status == Speech.Status.FAILED
    ]
