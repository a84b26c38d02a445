"""Rows of debates for tests, written short: one letter per seat is the option it holds, "-" an abstention.

`make_debate(votes=["AAB", "AAA"])` is a debate of three seats that voted twice: its rounds are scored and it is over.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from itertools import cycle
from typing import Any

from django.utils import timezone

from agents.models import Agent, Run
from debates.consensus import evaluate
from debates.models import Ballot, Claim, Debate, Injection, Round, Seat, Speech
from debates.votes import rounds_of, settings_of
from tests.factories import MODEL, alice, make_agent, make_run

LETTERS = "ABCDEF"
ROLES = (
    Agent.Role.ANALYST,
    Agent.Role.RESEARCHER,
    Agent.Role.QUANTIFIER,
    Agent.Role.SKEPTIC,
    Agent.Role.PRAGMATIST,
    Agent.Role.SPECIALIST,
)
SILENT = (Agent.Role.DEVILS_ADVOCATE, Agent.Role.FACT_CHECKER, Agent.Role.MODERATOR)
NOTHING: Mapping[Any, Any] = {}


def make_debate(
    *,
    options: Sequence[str] = ("Yes", "No"),
    votes: Sequence[str] = (),
    seats: int = 3,
    kinds: Sequence[str] = (),
    models: Sequence[str] = (MODEL,),
    confidences: Sequence[Sequence[float | None]] | float | None = 80.0,
    ballots: Mapping[tuple[int, int], Mapping[str, Any]] = NOTHING,
    silent: Sequence[str] = (),
    **fields: Any,
) -> Debate:
    """`votes`: a word per round, scored; without any, nothing has begun, and it is under way with `seats` voters.

    `kinds`: of the rounds, by default blind and then exchanges. `models`: of the voters, in turn. `confidences`: of
    all ballots, or a row per round. `ballots`: {(round, seat): what is different about that ballot}. `silent`: roles
    of seats without a vote.
    """
    ended = bool(votes) and fields.get("status", Debate.Status.ENDED) == Debate.Status.ENDED
    defaults: dict[str, Any] = {
        "owner": fields.pop("owner", None) or alice(),
        "question": "Should the bridge be closed?",
        "options": [{"id": letter, "text": text} for letter, text in zip(LETTERS, options, strict=False)],
        "protocol": "round-table",
        "rule": "three-quarters",
        "status": Debate.Status.ENDED if ended else Debate.Status.RUNNING,
        "stop_reason": "rounds" if ended else "",
        "ended_at": timezone.now() + timedelta(seconds=60) if ended else None,
    }
    debate = Debate.objects.create(**defaults | fields)
    make_panel(debate, voters=len(votes[0]) if votes else seats, models=models, silent=silent)
    for number, options_held in enumerate(votes):
        kind = kinds[number] if kinds else Round.Kind.EXCHANGE if number else Round.Kind.BLIND
        sure = confidences[number] if isinstance(confidences, Sequence) else [confidences] * len(options_held)
        changed = {seat: fields for (round, seat), fields in ballots.items() if round == number}
        score(make_round(debate, options_held, kind=kind, confidences=sure, ballots=changed))
    return debate


def make_panel(debate: Debate, *, voters: int, models: Sequence[str], silent: Sequence[str] = ()) -> list[Seat]:
    """Analyst, Researcher, … named by their roles, from the seventh on with a number; then the silent ones."""
    panel = [(ROLES[at % len(ROLES)], at // len(ROLES), True) for at in range(voters)]
    panel += [(Agent.Role(role), 0, False) for role in silent]
    return [
        make_seat(
            debate,
            position=at,
            role=role,
            name=role.label + (f" {again + 1}" if again else ""),
            model=model,
            votes=is_voter,
        )
        for at, ((role, again, is_voter), model) in enumerate(zip(panel, cycle(models), strict=False))
    ]


def make_seat(debate: Debate, *, position: int | None = None, **fields: Any) -> Seat:
    position = debate.seats.count() if position is None else position
    defaults: dict[str, Any] = {
        "alias": chr(ord("A") + position % 26),
        "name": f"Seat {position}",
        "role": Agent.Role.ANALYST,
        "initials": "S",
        "colour": "#4c6ef5",
        "model": MODEL,
        "votes": True,
    }
    agent = fields.pop("agent", None) or make_agent(role=fields.get("role", Agent.Role.ANALYST))
    return Seat.objects.create(debate=debate, agent=agent, position=position, **defaults | fields)


def make_round(
    debate: Debate,
    votes: str = "",
    *,
    kind: str | None = None,
    step: str = "scored",
    confidences: Sequence[float | None] = (),
    ballots: Mapping[int, Mapping[str, Any]] = NOTHING,
    speeches: bool = True,
) -> Round:
    """The next round, with a speech and a ballot of every voter ("." in `votes`: still waiting). No figures yet."""
    number = debate.rounds.count()
    kind = kind or (Round.Kind.EXCHANGE if number else Round.Kind.BLIND)
    scored_at = timezone.now() if step == "scored" else None
    round = Round.objects.create(debate=debate, number=number, kind=kind, step=step, scored_at=scored_at)
    voters = debate.seats.filter(votes=True)
    for at, (seat, letter) in enumerate(zip(voters, votes, strict=False)):
        if speeches:
            make_speech(round, seat, text=f"{seat.name} speaks in round {number}.")
        sure = confidences[at] if at < len(confidences) else 80.0
        make_ballot(round, seat, letter, **{"confidence": sure, **ballots.get(at, {})})
    return round


def make_speech(round: Round, seat: Seat, *, text: str = "I have thought about it.", **fields: Any) -> Speech:
    defaults = {"status": Speech.Status.DONE, "html": f"<p>{text}</p>", "ended_at": timezone.now()}
    return Speech.objects.create(round=round, seat=seat, text=text, **defaults | fields)


def make_ballot(round: Round, seat: Seat, letter: str = "A", **fields: Any) -> Ballot:
    if letter == ".":
        return Ballot.objects.create(round=round, seat=seat)
    if letter == "-":
        defaults: dict[str, Any] = {"status": Ballot.Status.ABSTAINED, "abstention": "chosen"}
        fields.pop("confidence", None)
    else:
        defaults = {
            "status": Ballot.Status.CAST,
            "option": letter,
            "confidence": 80.0,
            "reason": f"{seat.name} finds {letter} right.",
            "would_change_if": f"Somebody showed {seat.name} the figures.",
            "change_reason": "none",
        }
    return Ballot.objects.create(round=round, seat=seat, **defaults | fields)


def make_claim(round: Round, seat: Seat, **fields: Any) -> Claim:
    """The next number; for the option that the seat's ballot of the round holds, if it has one."""
    number = round.debate.claims.count() + 1
    ballot = round.ballots.filter(seat=seat).first()
    defaults = {"text": f"Claim number {number}.", "kind": Claim.Kind.FACT, "option": ballot.option if ballot else ""}
    return Claim.objects.create(debate=round.debate, number=number, round=round, seat=seat, **defaults | fields)


def make_injection(debate: Debate, **fields: Any) -> Injection:
    return Injection.objects.create(debate=debate, **{"kind": Injection.Kind.EVIDENCE, "text": "It rusts."} | fields)


def add_run(row: Speech | Ballot, **fields: Any) -> Run:
    """The run that made a speech or a ballot: over, with 100 tokens read and 50 written."""
    now = timezone.now()
    defaults = {
        "status": Run.Status.DONE,
        "prompt_tokens": 100,
        "output_tokens": 50,
        "started_at": now,
        "finished_at": now,
    }
    debate = row.round.debate
    row.run = make_run(owner=debate.owner, agent=row.seat.agent, subject=row, **defaults | fields)
    row.save(update_fields=["run"])
    return row.run


def score(round: Round, **settings: Any) -> Round:
    """Write the figures down, as the engine does after the barrier; for rows changed later: `rescore(debate)`."""
    debate = Debate.objects.get(pk=round.debate_id)
    before = [held for held in rounds_of(debate) if held.number < _place(round)]
    allowed = {"rounds": debate.max_rounds - 1, "challenges": 1, **settings}
    evaluation = evaluate([*before, rounds_of(debate)[_place(round)]], settings_of(debate, **allowed))
    round.metrics, round.step, round.scored_at = evaluation.as_dict(), "scored", round.scored_at or timezone.now()
    round.save(update_fields=["metrics", "step", "scored_at"])
    return round


def figures(debate: Debate, *, number: int) -> dict[str, Any]:
    """Of a round that is scored."""
    metrics = debate.rounds.get(number=number).metrics
    assert isinstance(metrics, dict)
    return metrics


def rescore(debate: Debate) -> Debate:
    for round in debate.rounds.exclude(ballots=None).distinct():
        score(round)
    return debate


def _place(round: Round) -> int:
    """Among the rounds with ballots."""
    return round.debate.rounds.filter(number__lt=round.number).exclude(ballots=None).distinct().count()
