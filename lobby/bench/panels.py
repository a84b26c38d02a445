"""The rows of debates in a bench, made and read past the product. Imported once Django is set up."""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Count, Q

from agents.models import Agent, Host, Run
from debates import launching, rounds
from debates.costs import runs_of
from debates.launching import Place
from debates.models import Ballot, Claim, Debate, Round, Speech
from lobby import correlation
from lobby.bench import rows
from lobby.bench.page import Person

Role = Agent.Role
Row = Speech | Ballot
OPTIONS = ("Wait", "Act now", "Ask again")  # held by as many seats each: nobody leads, so that all rounds are held
NO_END = 1_000_000  # tokens


def name_of(seat: int) -> str:
    """Of a seat, as its prompts have it: the scripted model tells by it who asks."""
    return f"You have seat {seat}."


def make_panel(voters: int) -> list[Place]:
    """So many voters and, with number 0, the Moderator who writes it up."""
    roles = [Role.MODERATOR, *(launching.VOTERS[number % len(launching.VOTERS)] for number in range(voters))]
    return [Place(_agent(number, role=role)) for number, role in enumerate(roles)]


def _agent(number: int, *, role: str) -> Agent:
    fields = {"name": f"Seat {number}", "role": role, "model": rows.MODEL, "initials": "S"}
    found = {**fields, "system_prompt": name_of(number)}
    return Agent.objects.update_or_create(slug=f"seat-{number}", defaults=found)[0]


def make_owner() -> tuple[str, Person]:
    user = User.objects.create_user(f"owner-{next(rows.numbers)}")
    return user.username, Person(session=rows.sign_in(user), conversation="")


def set_slots(host: str, *, slots: int) -> None:
    Host.objects.filter(base_url=host).update(max_parallel=slots)


def start(*, owner: str, question: str, panel: list[Place], rounds_held: int, tokens: int) -> Debate:
    correlation.follow(uuid4().hex)  # as a request that asks for it would
    return launching.start(
        owner=User.objects.get(username=owner),
        question=question,
        options=OPTIONS,
        panel=panel,
        max_rounds=rounds_held,
        speech_tokens=max(30, tokens),
        max_tokens=NO_END,
    )


def lengthen(debate: Debate, *, rounds_held: int) -> None:
    """Past the most that an owner may ask for."""
    Debate.objects.filter(pk=debate.pk).update(max_rounds=rounds_held, max_minutes=24 * 60, max_tokens=2**31 - 1)


def have_ended(debates: Iterable[Debate]) -> bool:
    left = Debate.objects.exclude(status=Debate.Status.ENDED)
    return not left.filter(pk__in=[debate.pk for debate in debates]).exists()


@dataclass(frozen=True, slots=True)
class Course:
    """What became of a debate. Times in seconds."""

    wall: float
    critical: float
    """What the model alone takes for the longest run of each step, one step after another."""
    served: float
    """What the longest run of each step took from its claim by a worker to its last token."""
    runs: int
    done: int


def course_of(debate: Debate, *, rate: float) -> Course:
    """`rate`: tokens per second of each run. The first token of the scripted model takes no time, the last one so many
    gaps."""
    debate.refresh_from_db()
    steps = [[row.run for row in step if row.run] for step in _steps(debate)]
    counted = runs_of(debate).aggregate(all=Count("pk"), done=Count("pk", filter=Q(status=Run.Status.DONE)))
    ended = debate.ended_at or debate.created_at
    return Course(
        wall=(ended - debate.created_at).total_seconds(),
        critical=sum(max(_model_seconds(run, rate=rate) for run in step) for step in steps),
        served=sum(max(_seconds(run) for run in step) for step in steps),
        runs=counted["all"],
        done=counted["done"],
    )


def _model_seconds(run: Run, *, rate: float) -> float:
    return ((run.output_tokens or 1) - 1) / rate


def _seconds(run: Run) -> float:
    return (run.finished_at - run.started_at).total_seconds() if run.finished_at and run.started_at else 0.0


def _steps(debate: Debate) -> list[list[Row]]:
    """The rows of each step."""
    found: dict[Any, list[Row]] = {}
    for speech in Speech.objects.filter(round__debate=debate).select_related("run"):
        found.setdefault((speech.round_id, speech.kind), []).append(speech)
    for ballot in Ballot.objects.filter(round__debate=debate).select_related("run"):
        found.setdefault((ballot.round_id, "ballot"), []).append(ballot)
    return list(found.values())


def lanes_of(debate: Debate) -> dict[tuple[int, int], str]:
    """The run that speaks in (seat, step); steps count from 0, a round of the bench has two."""
    spoken = Speech.objects.filter(round__debate=debate).select_related("seat__agent", "round")
    return {_lane(speech): str(speech.run_id) for speech in spoken}


def _lane(speech: Speech) -> tuple[int, int]:
    number = int(speech.seat.name.rpartition(" ")[2])
    return number, 2 * speech.round.number + 2 * (speech.kind == Speech.Kind.VERDICT)


def over(debate: Debate) -> dict[str, tuple[str, int]]:
    """The run, and its attempt, by which each speech was said and each ballot cast up to now."""
    said = Speech.objects.exclude(status=Speech.Status.WAITING)
    cast = Ballot.objects.exclude(status=Ballot.Status.WAITING)
    found = {}
    for table in (said, cast):
        known = table.filter(round__debate=debate).values_list("pk", "run", "run__attempt")
        found.update({str(pk): (str(run), attempt) for pk, run, attempt in known})
    return found


def where(debate: Debate) -> tuple[int, str, int]:
    """The round and step under way, and how many of it are still to come."""
    debate.refresh_from_db()
    last = debate.rounds.order_by("number").last()
    if last is None:
        return -1, "", 0
    waiting = last.speeches.filter(status=Speech.Status.WAITING).count()
    return last.number, debate.conclusion or last.step, waiting + last.ballots.filter(status="waiting").count()


def scoring_times(debate: Debate, *, times: int) -> list[float]:
    """Milliseconds that it takes to score the last round: ballots shown, claims numbered, all figures reckoned."""
    last = debate.rounds.latest("number")
    last.debate = debate
    return [_scoring_time(last) for _ in range(times)]


def _scoring_time(last: Round) -> float:
    """As it is done past the barrier, and then undone."""
    with transaction.atomic():
        Claim.objects.filter(round=last).delete()
        began = time.perf_counter()
        rounds._score(last)
        milliseconds = 1000 * (time.perf_counter() - began)
        transaction.set_rollback(True)
    return milliseconds
