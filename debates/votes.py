"""From a debate's rows to what the consensus mathematics is given.

Options go by their ids (capital letters, as the page shows them) and seats by their names, which are unique in a
debate: the words that come back can be shown as they are.
"""

from collections.abc import Iterable, Mapping
from typing import cast
from uuid import UUID

from debates.consensus import BeliefSource, ChangeReason, RoundVotes, Settings, Vote
from debates.models import Ballot, Claim, Debate, Round, Speech
from debates.protocols import PROTOCOLS
from debates.records import calibrations, panel_correlation

SEEN_BEFORE_VOTING = (Round.Kind.EXCHANGE, Round.Kind.CHALLENGE, Round.Kind.DELPHI, Round.Kind.RANKING)


def rounds_of(debate: Debate) -> list[RoundVotes]:
    """The rounds in which the panel voted, numbered from 0 without a gap. For a round whose barrier is passed only."""
    rounds, claims = _read(debate)
    with_ballots = [round for round in rounds if round.ballots.all()]
    return [_round(round, number=n, debate=debate, claims=claims) for n, round in enumerate(with_ballots)]


def _read(debate: Debate) -> tuple[list[Round], list[Claim]]:
    """Rounds with their ballots, and claims. Whose they are is put together here: it is asked for after every round."""
    seats = {seat.pk: seat for seat in debate.seats.all()}
    rounds = {round.pk: round for round in debate.rounds.defer("metrics").prefetch_related("ballots")}
    for ballot in (ballot for round in rounds.values() for ballot in round.ballots.all()):
        ballot.seat = seats[ballot.seat_id]
    claims = list(debate.claims.all())
    for claim in claims:
        claim.round = rounds[claim.round_id]
        claim.seat = seats[claim.seat_id] if claim.seat_id else None
        claim.checked_in = rounds[claim.checked_in_id] if claim.checked_in_id else None
    return list(rounds.values()), claims


def _round(round: Round, *, number: int, debate: Debate, claims: list[Claim]) -> RoundVotes:
    votes = [ballot for ballot in round.ballots.all() if not ballot.is_judgement]
    rankings = _rankings(round) if round.kind == Round.Kind.RANKING else {}
    return RoundVotes(
        number=number,
        votes=tuple(
            _vote(ballot, debate=debate, claims=claims, ranking=rankings.get(ballot.seat_id)) for ballot in votes
        ),
        new_claims=frozenset(str(claim.number) for claim in claims if claim.round_id == round.pk),
        evidence=frozenset(str(c.number) for c in claims if c.round_id == round.pk and not c.is_a_voters),
        refuted_unanswered=frozenset(map(str, unanswered(round, votes=votes, claims=claims))),
        is_exchange=round.kind in SEEN_BEFORE_VOTING,
        is_challenge=round.kind == Round.Kind.CHALLENGE,
    )


def _vote(ballot: Ballot, *, debate: Debate, claims: list[Claim], ranking: tuple[str, ...] | None) -> Vote:
    mine = frozenset(str(c.number) for c in claims if c.seat_id == ballot.seat_id and c.round_id == ballot.round_id)
    if ballot.status != Ballot.Status.CAST:
        return Vote(
            seat=ballot.seat.name, option=None, model=ballot.seat.model, abstained=ballot.abstention or "no ballot"
        )
    return Vote(
        seat=ballot.seat.name,
        option=ballot.option,
        confidence=ballot.confidence,
        belief=_belief(ballot, debate.belief),
        claims=mine,
        cited=frozenset(map(str, ballot.cited)),
        change_reason=cast(ChangeReason, ballot.change_reason or "none"),
        model=ballot.seat.model,
        ranking=ranking or tuple(ballot.ranking),
        unranked=frozenset({ballot.option} - set(ranking)) if ranking else frozenset(),
    )


def _belief(ballot: Ballot, source: str) -> Mapping[str, float] | None:
    match source:
        case Debate.Belief.MEASURED:
            return cast("Mapping[str, float] | None", ballot.measured)
        case Debate.Belief.PROBE:
            return cast("Mapping[str, float] | None", ballot.probed)
    return None


def _rankings(round: Round) -> dict[UUID, tuple[str, ...]]:
    """Council: the order of the others' answers, read as an order of the options they chose."""
    before = Ballot.objects.filter(round__debate=round.debate_id, round__number=0, status=Ballot.Status.CAST)
    held = {str(seat): option for seat, option in before.values_list("seat", "option")}
    found = {}
    for speech in round.speeches.all():
        if speech.kind == Speech.Kind.RANKING and speech.data:
            found[speech.seat_id] = tuple(dict.fromkeys(held[seat] for seat in speech.data if seat in held))
    return found


def unanswered(round: Round, *, votes: Iterable[Ballot], claims: Iterable[Claim]) -> list[int]:
    """Refuted claims that much rests on and nobody has answered: an author who, after the check, neither left the
    option nor put forward or cited another claim leaves its refuted claim standing."""
    held = {ballot.seat_id: ballot for ballot in votes if ballot.status == Ballot.Status.CAST}
    left = []
    for claim in claims:
        if claim.status != Claim.Status.REFUTED or claim.round.number > round.number:
            continue
        ballot = held.get(claim.seat_id) if claim.seat_id else None
        if ballot is None or ballot.option != claim.option:
            continue
        answered = any(
            c.seat_id == claim.seat_id and _is_after(c, claim) for c in claims if c.round.number <= round.number
        )
        if not answered and not set(ballot.cited) - {claim.number}:
            left.append(claim.number)
    return left


def _is_after(claim: Claim, refuted: Claim) -> bool:
    checked = refuted.checked_in
    return checked is not None and claim.round.number >= checked.number


def settings_of(
    debate: Debate, *, rounds: int, challenges: int, stopped: bool = False, spent: bool = False
) -> Settings:
    """`rounds` is the number of the last round allowed, among those with ballots."""
    voters = [seat for seat in debate.seats.all() if seat.votes]
    models = {seat.model for seat in voters}
    return Settings(
        options=tuple(option["id"] for option in debate.options),
        seats=len(voters),
        rule=debate.rule,
        belief=cast(BeliefSource, debate.belief),
        max_rounds=rounds,
        challenges=challenges,
        calibrations=calibrations(models, belief=cast(BeliefSource, debate.belief)),
        correlation=panel_correlation(models),
        judged=judgement(debate) if debate.rule == "judge" else None,
        is_stopped=stopped,
        is_out_of_budget=spent,
    )


def judgement(debate: Debate) -> str | None:
    """What the judge chose; where the sides were swapped, only a choice that stayed the same."""
    judged = Ballot.objects.filter(round__debate=debate, is_judgement=True).values_list("option", flat=True)
    wanted = 2 if PROTOCOLS[debate.protocol].slug == "oxford" else 1
    chosen = set(judged)
    if len(judged) < wanted or len(chosen) > 1:
        return None
    return chosen.pop() or None
