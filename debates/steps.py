"""The steps of a round. Each begins with rows and runs and is over when none of them is waiting: the barrier."""

from collections.abc import Callable
from dataclasses import dataclass
from textwrap import shorten

from django.db import connection
from django.db.models import Max

from agents.models import Agent
from debates import prompts, speeches, voting
from debates.events import say
from debates.models import Claim, Debate, Injection, Round, Seat, Speech

Kind = Speech.Kind
Role = Agent.Role
OTHER = "Other"
LETTERS = "ABCDEFGH"  # ids of options, as the page shows them
MOST_OPTIONS = 6


# Asked whenever a run ends, and four times for every step: as text, for it takes longer to compose than to answer.
WAITING = """
SELECT EXISTS (SELECT FROM debates_speech WHERE round_id = %(round)s AND status = 'waiting')
    OR EXISTS (SELECT FROM debates_ballot WHERE round_id = %(round)s AND status = 'waiting')
    OR EXISTS (SELECT FROM debates_probe JOIN debates_ballot ON debates_ballot.id = ballot_id
                WHERE round_id = %(round)s AND NOT is_over)
"""


def is_waiting(round: Round) -> bool:
    """The barrier is up: somebody has not spoken or voted yet."""
    with connection.cursor() as cursor:
        cursor.execute(WAITING, {"round": round.pk})
        return bool(cursor.fetchone()[0])


@dataclass(frozen=True, slots=True)
class Step:
    """`begin` makes the rows and runs of a step, or none. `end`, past the barrier, writes down what came of it; it may
    be called again, and says in words why the debate has to wait for its owner, if it has to."""

    begin: Callable[[Round], None]
    end: Callable[[Round], str] = lambda round: ""


def voters(debate: Debate) -> list[Seat]:
    return [seat for seat in _seats(debate) if seat.votes]


def seat_of(debate: Debate, role: str) -> Seat | None:
    return next((seat for seat in _seats(debate) if seat.role == role and not seat.votes), None)


def _seats(debate: Debate) -> list[Seat]:
    """Read once, where who asks has them with the debate."""
    return list(debate.seats.all())


def _speak(round: Round) -> None:
    _take_evidence(round)
    seats = _seats(round.debate)
    speakers = [seat for seat in seats if seat.side] or [seat for seat in seats if seat.votes]
    speeches.begin(round, seats=speakers, kind=Kind.ANSWER)


def _by_role(role: str, kind: str) -> Callable[[Round], None]:
    def begin(round: Round) -> None:
        seat = seat_of(round.debate, role)
        speeches.begin(round, seats=[seat] if seat else [], kind=kind)

    return begin


LONGEST_CLAIM = 280


def _take_evidence(round: Round) -> None:
    """What the owner has added since the last speeches is a claim: who is moved by it can cite it."""
    known = set(round.debate.claims.filter(seat=None).values_list("text", flat=True))
    for injection in round.debate.injections.filter(kind=Injection.Kind.EVIDENCE):
        text = shorten(injection.text, LONGEST_CLAIM, placeholder=" …")
        if text not in known:
            known.add(text)
            _put_forward(round, text, seat=None, kind=Claim.Kind.FACT)


def _put_forward(round: Round, text: str, *, seat: Seat | None, kind: str) -> None:
    number = (round.debate.claims.aggregate(last=Max("number"))["last"] or 0) + 1
    Claim.objects.create(debate=round.debate, number=number, seat=seat, round=round, text=text, kind=kind)


def _find_options(round: Round) -> None:
    if not round.debate.options:
        _by_role(Role.MODERATOR, Kind.OPTIONS)(round)


NO_OPTIONS = "The Moderator named no options that could be read. Type them, then resume."
LOOK_AT_OPTIONS = "Look at the options, then resume."


def _take_options(round: Round) -> str:
    """An open question gets the options the Moderator found, and "other"."""
    debate = round.debate
    if debate.options:
        return ""
    found = round.speeches.filter(kind=Kind.OPTIONS, status=Speech.Status.DONE).first()
    if found is None or not found.data:
        return NO_OPTIONS
    set_options(debate, [*found.data[: MOST_OPTIONS - 1], OTHER])
    return LOOK_AT_OPTIONS if debate.reviews_options else ""


def set_options(debate: Debate, texts: list[str]) -> None:
    debate.options = [{"id": id, "text": text} for id, text in zip(LETTERS, texts, strict=False)]
    Debate.objects.filter(pk=debate.pk).update(options=debate.options)
    say(debate.topic, {"type": "debate.options", "options": debate.options})


def _challenge(round: Round) -> None:
    _by_role(Role.DEVILS_ADVOCATE, Kind.CHALLENGE)(round)
    checker = seat_of(round.debate, Role.FACT_CHECKER)
    if checker and prompts.claims_to_check(Speech(round=round, seat=checker)):
        speeches.begin(round, seats=[checker], kind=Kind.CHECKS)


def _take_challenge(round: Round) -> str:
    """The case against the leader is a claim like any other: who is moved by it can cite it."""
    case = round.speeches.filter(kind=Kind.CHALLENGE, status=Speech.Status.DONE).select_related("seat").first()
    if case and not round.claims.filter(seat=case.seat).exists():
        text = shorten(case.text, LONGEST_CLAIM, placeholder=" …")
        _put_forward(round, text, seat=case.seat, kind=Claim.Kind.INFERENCE)
    return _take_checks(round)


def _take_checks(round: Round) -> str:
    checked = round.speeches.filter(kind=Kind.CHECKS, status=Speech.Status.DONE).first()
    labels = checked.data if checked and checked.data else []
    for label in labels:
        claims = round.debate.claims.filter(number=label["claim"], checked_in=None)
        claims.update(status=label["status"], note=label["note"], checked_in=round)
    if labels:
        numbers = [label["claim"] for label in labels]
        say(round.debate.topic, {"type": "debate.claims", "round": round.number, "claims": numbers})
    return ""


def _vote(round: Round) -> None:
    voting.begin(round, seats=voters(round.debate))


def _judge(round: Round) -> None:
    judge = seat_of(round.debate, Role.MODERATOR)
    voting.begin(round, seats=[judge] if judge else [], is_judgement=True)


def _rank(round: Round) -> None:
    speeches.begin(round, seats=voters(round.debate), kind=Kind.RANKING)


def _nothing(round: Round) -> None:
    """The step is a state, not work."""


STEPS: dict[str, Step] = {
    "speech": Step(_speak),
    "options": Step(_find_options, _take_options),
    "challenge": Step(_challenge, _take_challenge),
    "statistics": Step(_by_role(Role.MODERATOR, Kind.STATISTICS)),
    "ranking": Step(_rank),
    "ballot": Step(_vote),
    "probe": Step(voting.begin_probes),
    "judge": Step(_judge),
    "scored": Step(_nothing),
    "verdict": Step(_by_role(Role.MODERATOR, Kind.VERDICT)),
}
