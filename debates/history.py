"""What was said on a debate's topic, told once more from the rows: for whoever comes late, for replays and exports.

A round's steps stand in their order, what was said in a step in the order of its times. What rows do not keep is left
out: pauses that are over, the line, tokens.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from heapq import merge
from itertools import chain, takewhile
from operator import itemgetter
from typing import Any

from django.db.models import Prefetch

from debates import rounds, speeches, voting
from debates.models import Ballot, Debate, Round, Speech
from debates.protocols import STEPS_OF, steps_of
from debates.revealed import panel_ballots

Kind = Speech.Kind
Event = Mapping[str, Any]
Told = tuple[datetime | None, Event]  # None: nobody noted when; not before what stands above it

STEP_OF: Mapping[str, str] = {
    Kind.ANSWER: "speech",
    Kind.CHALLENGE: "challenge",
    Kind.CHECKS: "challenge",
    Kind.OPTIONS: "options",
    Kind.STATISTICS: "statistics",
    Kind.RANKING: "ranking",
    Kind.VERDICT: "verdict",
}
OF_BALLOTS = ("round", "seat", "status", "option", "abstention", "is_judgement", "run__finished_at")
OF_SPEECHES = ("round", "seat", "kind", "status", "run", "text", "error", "created_at", "ended_at")


def events_of(debate: Debate, *, until: int | None = None) -> list[dict[str, Any]]:
    """The events of debates/events.py, each with `at` (ISO 8601): all, or those up to the end of the round `until`.

    Of a round that is not scored they tell who has voted, not for what. Six queries, however long the debate was.
    """
    debate = _read(debate)
    held = [round for round in debate.rounds.all() if until is None or round.number <= until]
    told = list(chain.from_iterable(_of_round(round) for round in held))
    if until is None:
        told += _of_end(debate)
    course = merge(_rising(told, since=debate.created_at), _injections(debate, until=until), key=itemgetter(0))
    return [{**event, "at": at.isoformat()} for at, event in course]


def _read(debate: Debate) -> Debate:
    rows = Debate.objects.prefetch_related(
        Prefetch("rounds", Round.objects.defer("metrics")),
        Prefetch("rounds__ballots", Ballot.objects.select_related("run").only(*OF_BALLOTS)),
        Prefetch("rounds__speeches", Speech.objects.only(*OF_SPEECHES)),
        "claims",
        "injections",
    )
    return rows.get(pk=debate.pk)


def _rising(told: Iterable[Told], *, since: datetime) -> Iterator[tuple[datetime, Event]]:
    """Clocks of several transactions: an event is never told to be earlier than the one before it."""
    for at, event in told:
        since = max(since, at or since)
        yield since, event


def _of_round(round: Round) -> Iterator[Told]:
    passed = takewhile(lambda step: step != round.step, STEPS_OF[round.kind])
    for step in [*(step for step in passed if step in steps_of(round)), round.step]:
        if step == "scored":
            yield from _scoring(round)
        else:
            yield from _of_step(round, step)


def _of_step(round: Round, step: str) -> Iterator[Told]:
    said = sorted(_said(round, step), key=_by_time)
    yield said[0][0] if said else None, _reached(round, step)
    yield from said
    yield from _found(round, step)


def _by_time(told: Told) -> tuple[bool, datetime | None]:
    return told[0] is None, told[0]


def _reached(round: Round, step: str) -> Event:
    return {"type": "debate.round", "round": round.number, "kind": round.kind, "step": step}


def _said(round: Round, step: str) -> Iterator[Told]:
    for speech in round.speeches.all():
        if STEP_OF[speech.kind] == step:
            yield from _of_speech(speech)
    for ballot in round.ballots.all():
        if step == ("judge" if ballot.is_judgement else "ballot") and ballot.status == Ballot.Status.CAST:
            yield ballot.run.finished_at if ballot.run else None, voting.voted(ballot)


def _of_speech(speech: Speech) -> Iterator[Told]:
    over = dict(speeches.over(speech))
    was_asked = speech.run_id is not None or speech.status != Speech.Status.FAILED
    if was_asked:
        over.pop("error", None)
        yield speech.created_at, {**over, "status": Speech.Status.WAITING}
    if speech.status != Speech.Status.WAITING:
        yield max(speech.created_at, speech.ended_at or speech.created_at), _over(speech)


def _over(speech: Speech) -> Event:
    """A ranking is a vote: before all are in, nobody reads it."""
    if speech.kind == Kind.RANKING and speech.round.step != "scored":
        return speeches.over(speech)
    return {**speeches.over(speech), "text": speech.text}


def _found(round: Round, step: str) -> Iterator[Told]:
    """What came of a step, once its barrier is passed."""
    if round.step == step:
        return
    debate = round.debate
    if step == "options" and debate.is_open:
        yield None, {"type": "debate.options", "options": debate.options}
    checked = [claim.number for claim in debate.claims.all() if claim.checked_in_id == round.pk]
    if step == "challenge" and checked:
        yield None, {"type": "debate.claims", "round": round.number, "claims": checked}


def _scoring(round: Round) -> Iterator[Told]:
    if round.ballots.all():
        yield round.scored_at, voting.revealed(round, panel_ballots(round))
    yield round.scored_at, {"type": "debate.score", "round": round.number}
    yield round.scored_at, _reached(round, "scored")


def _of_end(debate: Debate) -> Iterator[Told]:
    """The judgement, where the last round had none of its own, the verdict, and how the debate stands now."""
    last = next(reversed(debate.rounds.all()), None)
    judged = last is not None and "judge" not in STEPS_OF[last.kind]
    if last and judged:
        yield from _said(last, "judge")
    if last and (account := list(_said(last, "verdict"))):
        yield account[0][0], {"type": "debate.verdict"}
        yield from account
    if debate.status == Debate.Status.ENDED:
        yield debate.ended_at, {"type": "debate.verdict"}
    yield debate.ended_at, rounds.state_of(debate)


def _injections(debate: Debate, *, until: int | None) -> list[tuple[datetime, Event]]:
    later = [round.started_at for round in debate.rounds.all() if until is not None and round.number > until]
    return [
        (injection.created_at, {"type": "debate.injection", "kind": injection.kind, "text": injection.text})
        for injection in debate.injections.all()
        if not later or injection.created_at < later[0]
    ]
