"""The debates of a demonstration: a few questions, argued in a few ways.

What a course of votes comes to is worked out once, by the engine's own mathematics, and stands in every debate that
went the same way. Their runs are some of those that the season has: these are given the debate's owner and time.
"""

import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import cycle
from random import Random
from typing import Any

import orjson
from django.contrib.auth.models import User
from django.db import connection
from django.utils.timezone import now

from agents.models import Agent, Host, Run
from debates.consensus import evaluate
from debates.models import Ballot, Claim, Debate, Round, Seat, Speech
from debates.verdicts import conclude
from debates.votes import rounds_of, settings_of
from lobby.trials.demonstrated_questions import QUESTIONS, Question

AT_ONCE = 2_000  # rows of one statement
LONGEST_RUN = timedelta(seconds=60)

# A letter per seat, a word per round. Who changes his mind cites what moved him; a small letter says that he did not,
# "-" that he abstained.
COURSES = (
    ("AAABACA", "AAAAAAA", "AAAAAAA"),
    ("ABACBAB", "ABABBAB", "ABABBAB"),
    ("BBABBCB", "BBBBBBB"),
    ("ABBCABA", "aBaaABA", "aAaaAaA"),
    ("AACABA-", "AAAABA-", "AAAABAA"),
    ("CCABCCC", "CCCBCCC"),
)


@dataclass(slots=True)
class Course:
    """One debate with its rows, none of them saved yet."""

    question: Question
    votes: tuple[str, ...]
    debate: Debate
    seats: list[Seat]
    rounds: list[Round] = field(default_factory=list)
    speeches: list[Speech] = field(default_factory=list)
    ballots: list[Ballot] = field(default_factory=list)
    claims: dict[str, Claim] = field(default_factory=dict)  # by their text

    @property
    def said(self) -> list[Speech | Ballot]:
        return [*self.speeches, *self.ballots]


def make(number: int, *, users: list[User], agents: list[Agent], hosts: list[Host], days: int) -> int:
    """Ended ones: those under way would be gone on with."""
    dice = Random(1)  # noqa: S311  (the same debates each time)
    courses = []
    for question, _ in zip(cycle(QUESTIONS), range(number), strict=False):
        began = now() - timedelta(days=days * dice.random() ** 1.3, minutes=40)
        debate = _debate(question, owner=dice.choice(users), began=began)
        votes = dice.choice(COURSES)
        course = Course(question, votes, debate, [_seat(debate, at, agents=agents, hosts=hosts) for at in range(7)])
        _hold(course, pause=timedelta(minutes=2 + 3 * dice.random()))
        courses.append(course)
    _save(courses)
    costs = _take_runs(courses, hosts=hosts)
    _count_rows()
    _score(courses)
    _give_verdicts(courses, costs)
    return number


def _debate(question: Question, *, owner: User, began: datetime) -> Debate:
    return Debate(
        owner=owner,
        question=question.text,
        options=[{"id": id, "text": text} for id, text in question.options.items()],
        protocol="round-table",
        rule="two-thirds",
        status=Debate.Status.ENDED,
        created_at=began,
    )


def _seat(debate: Debate, at: int, *, agents: list[Agent], hosts: list[Host]) -> Seat:
    agent = agents[at]
    return Seat(
        debate=debate,
        agent=agent,
        position=at,
        alias="ABCDEFG"[at],
        name=agent.name.partition(" (")[0],
        role=agent.role,
        initials=agent.initials,
        colour=agent.colour,
        model=hosts[at % len(hosts)].model_names[0],
        votes=True,
    )


def _hold(course: Course, *, pause: timedelta) -> None:
    at, before = course.debate.created_at, ""
    for number, votes in enumerate(course.votes):
        kind = Round.Kind.EXCHANGE if number else Round.Kind.BLIND
        round = Round(debate=course.debate, number=number, kind=kind, step="scored", started_at=at)
        round.scored_at = at = at + pause
        course.rounds.append(round)
        for place, letter in enumerate(votes):
            moved = bool(before) and before[place] not in ("-", letter.upper())
            ballot = _ballot(course, round, place, letter=letter, moved=moved)
            course.ballots.append(ballot)
            course.speeches.append(_speech(course, ballot, moved=moved))
        before = votes.upper()
    course.debate.max_rounds, course.debate.ended_at = len(course.votes), at


def _ballot(course: Course, round: Round, place: int, *, letter: str, moved: bool) -> Ballot:
    seat, option = course.seats[place], letter.upper()
    ballot = Ballot(round=round, seat=seat, letters={"A": "A", "B": "B", "C": "C", "D": None})
    if letter == "-":
        ballot.status, ballot.abstention = Ballot.Status.ABSTAINED, "chosen"
        return ballot
    grounds = course.question.grounds[option]
    ballot.status, ballot.option = Ballot.Status.CAST, option
    ballot.confidence = 60.0 + 5 * ((place * 3 + round.number * 2) % 7)
    ballot.reason = grounds[place % len(grounds)]
    ballot.would_change_if = course.question.doubt
    ballot.change_reason = "none"
    if moved:
        ballot.change_reason = "majority_pressure" if letter.islower() else "persuaded_by_argument"
        told = [claim.number for claim in course.claims.values() if claim.option == option]
        ballot.cited = [] if letter.islower() else told[:2]
    if not round.number:
        _claim(course, ballot)
    return ballot


def _claim(course: Course, ballot: Ballot) -> None:
    """What was claimed before is cited."""
    if made := course.claims.get(ballot.reason):
        ballot.cited = [made.number]
        return
    claim = Claim(debate=course.debate, number=len(course.claims) + 1, seat=ballot.seat, round=ballot.round)
    claim.option, claim.text, claim.kind = ballot.option, ballot.reason, Claim.Kind.INFERENCE
    ballot.claims = [{"text": claim.text, "kind": claim.kind}]
    course.claims[ballot.reason] = claim


def _speech(course: Course, ballot: Ballot, *, moved: bool) -> Speech:
    text = _words(course.question, ballot, moved=moved)
    begun, over = ballot.round.started_at, ballot.round.started_at + LONGEST_RUN
    speech = Speech(round=ballot.round, seat=ballot.seat, status=Speech.Status.DONE, created_at=begun, ended_at=over)
    speech.text, speech.html = text, f"<p>{text}</p>"
    return speech


def _words(question: Question, ballot: Ballot, *, moved: bool) -> str:
    if not ballot.option:
        return f"I cannot decide on what we know. {question.doubt}"
    held = question.options[ballot.option]
    if not moved:
        return f"I hold “{held}”. {ballot.reason} I would think again if this were so: {question.doubt}"
    because = f"claim {ballot.cited[0]} weighs more than mine" if ballot.cited else "most of us hold it"
    return f"I change my mind to “{held}”: {because}. {ballot.reason}"


def _save(courses: Sequence[Course]) -> None:
    Debate.objects.bulk_create([course.debate for course in courses], batch_size=AT_ONCE)
    Seat.objects.bulk_create([seat for course in courses for seat in course.seats], batch_size=AT_ONCE)
    Round.objects.bulk_create([round for course in courses for round in course.rounds], batch_size=AT_ONCE)
    Speech.objects.bulk_create([speech for course in courses for speech in course.speeches], batch_size=AT_ONCE)
    Ballot.objects.bulk_create([ballot for course in courses for ballot in course.ballots], batch_size=AT_ONCE)
    Claim.objects.bulk_create([claim for course in courses for claim in course.claims.values()], batch_size=AT_ONCE)


TAKE = """
UPDATE agents_run r
   SET subject = v.subject, owner_id = v.owner, agent_id = v.agent, host_id = v.host, model = v.model,
       purpose = v.purpose, text = v.text, queued_at = v.at, started_at = v.at + (r.started_at - r.queued_at),
       first_token_at = v.at + (r.first_token_at - r.queued_at), finished_at = v.at + (r.finished_at - r.queued_at)
  FROM unnest(%s::uuid[], %s::uuid[], %s::int[], %s::uuid[], %s::uuid[], %s::text[], %s::text[], %s::text[],
              %s::timestamptz[]) AS v(id, subject, owner, agent, host, model, purpose, text, at)
 WHERE r.id = v.id
"""
LINK = "UPDATE {} SET run_id = v.run FROM unnest(%s::uuid[], %s::uuid[]) AS v(id, run) WHERE {}.id = v.id"


def _take_runs(courses: Sequence[Course], *, hosts: list[Host]) -> dict[uuid.UUID, dict[str, Any]]:
    """What each debate cost. Where there are too few runs, some have none."""
    wanted = [(course, said) for course in courses for said in course.said]
    found = _free_runs(len(wanted))
    costs = {course.debate.pk: _cost(course) for course in courses}
    place = {host.model_names[0]: host.pk for host in hosts}
    given, linked = [], []
    for (course, said), run in zip(wanted, found, strict=False):
        _count(costs[course.debate.pk], run)
        given.append(_taken(course.debate, said, run=run, host=place[said.seat.model]))
        linked.append((said, run.pk))
    with connection.cursor() as cursor:
        cursor.execute(TAKE, [list(column) for column in zip(*given, strict=True)] or [[]] * 9)
        for model in (Speech, Ballot):
            pairs = [(said.pk, run) for said, run in linked if isinstance(said, model)]
            table = model._meta.db_table
            cursor.execute(LINK.format(table, table), [[pk for pk, _ in pairs], [run for _, run in pairs]])
    return costs


def _free_runs(number: int) -> Iterator[Run]:
    """Of seats that spoke or voted; the season's runs belong to no debate by themselves."""
    runs = Run.objects.filter(
        purpose__startswith="debate.", status=Run.Status.DONE, owner__username__startswith="demo-"
    )
    short = runs.extra(where=["finished_at - queued_at < %s"], params=[LONGEST_RUN])  # noqa: S610  (a constant)
    return short.order_by().only("id", "prompt_tokens", "output_tokens")[:number].iterator()


def _taken(debate: Debate, said: Speech | Ballot, *, run: Run, host: uuid.UUID) -> tuple[Any, ...]:
    is_speech, seat = isinstance(said, Speech), said.seat
    at = said.round.started_at if is_speech else said.round.scored_at - LONGEST_RUN  # type: ignore[operator]
    text = said.text if isinstance(said, Speech) else orjson.dumps({"reason": said.reason}).decode()
    purpose = "debate.speech" if is_speech else "debate.ballot"
    return run.pk, said.pk, debate.owner_id, seat.agent_id, host, seat.model, purpose, text, at


def _count_rows() -> None:
    """Before the planner is asked for a debate's runs: of tables that have just been filled it knows nothing, and would
    read all runs there are for each."""
    models = (Run, Round, Seat, Speech, Ballot, Claim)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE " + ", ".join(model._meta.db_table for model in models))


def _cost(course: Course) -> dict[str, Any]:
    seconds = sum((round.scored_at - round.started_at).total_seconds() for round in course.rounds if round.scored_at)
    return {"calls": 0, "prompt_tokens": 0, "output_tokens": 0, "tokens": 0, "seconds": round(seconds, 6)}


def _count(cost: dict[str, Any], run: Run) -> None:
    read, written = run.prompt_tokens or 0, run.output_tokens or 0
    for name, number in {"calls": 1, "prompt_tokens": read, "output_tokens": written, "tokens": read + written}.items():
        cost[name] += number


def _score(courses: Sequence[Course]) -> None:
    """Seats, letters and the numbers of claims are the same in all debates of a course."""
    for votes in COURSES:
        alike = [course.debate.pk for course in courses if course.votes == votes]
        if not alike:
            continue
        debate = Debate.objects.get(pk=alike[0])
        held, settings = rounds_of(debate), settings_of(debate, rounds=len(votes) - 1, challenges=0)
        for number in range(len(votes)):
            metrics = evaluate(held[: number + 1], settings).as_dict()
            Round.objects.filter(debate__in=alike, number=number).update(metrics=metrics)
        Debate.objects.filter(pk__in=alike).update(stop_reason=metrics.get("stop_reason") or "rounds")


def _give_verdicts(courses: Sequence[Course], costs: dict[uuid.UUID, dict[str, Any]]) -> None:
    """Of all that went the same way about the same question one is concluded; in the others only the seats differ."""
    known: dict[tuple[Question, tuple[str, ...]], tuple[Course, str]] = {}
    for course in courses:
        kind = (course.question, course.votes)
        if kind not in known:
            told = conclude(Debate.objects.get(pk=course.debate.pk))
            known[kind] = course, orjson.dumps(told).decode()
        first, text = known[kind]
        for its, ours in zip(first.seats, course.seats, strict=True):
            text = text.replace(str(its.pk), str(ours.pk))
        course.debate.verdict = orjson.loads(text) | {"cost": costs[course.debate.pk]}
        course.debate.summary = _summary(course)
    debates = [course.debate for course in courses]
    Debate.objects.bulk_update(debates, ["verdict", "summary"], batch_size=500)


def _summary(course: Course) -> str:
    verdict: dict[str, Any] = course.debate.verdict or {}
    return f"{verdict['words']} {verdict['blind']['words']} What would change it: {course.question.doubt}"
