"""Debates through real worker and beat processes and the fake Ollama: killed, cut off and rung for in vain."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any
from uuid import UUID

import pytest
from django.db import transaction

from agents.models import Agent, Run
from debates import launching, rounds, tasks
from debates.launching import Place
from debates.models import Ballot, Claim, Debate, Round, Speech
from lobby.embedded.child import Child, is_gone
from tests.conftest import RedisServer
from tests.debates.pump import Script, play
from tests.factories import alice, make_agent, make_host
from tests.fake_ollama import FakeOllama, StreamSeen, expected_text
from tests.processes import beat_process, worker_process
from tests.waiting import somebody_waits_for_a_lock, wait_for

pytestmark = pytest.mark.django_db(transaction=True)

Role = Agent.Role
VOTERS = (Role.ANALYST, Role.RESEARCHER, Role.SKEPTIC)
PANEL = (*VOTERS, Role.DEVILS_ADVOCATE, Role.FACT_CHECKER, Role.MODERATOR)
MODEL = "fake:latest"
TOKENS = 20
PATIENCE = 120  # seconds: for several steps, on a slow machine
HELD_AFTER = 3  # tokens: an answer that stops there is one that the script holds back
Known = dict[UUID, tuple[UUID | None, int, str]]


@pytest.fixture
def fake() -> Iterator[FakeOllama]:
    with FakeOllama([MODEL]) as server:
        server.script(tokens=TOKENS, votes="Yes")
        yield server


@pytest.fixture
def panel(fake: FakeOllama, transactional_db: None) -> list[Place]:
    make_host(models=(MODEL,), base_url=fake.url, max_parallel=8)
    return [
        Place(make_agent(role=role, name=Role(role).label, model=MODEL, system_prompt=prompt_of(role)))
        for role in PANEL
    ]


@pytest.fixture
def start_worker() -> Iterator[Callable[[], Child]]:
    """A worker, ready; at the end it is killed, which is quicker than asking."""

    def start() -> Child:
        worker = stack.enter_context(worker_process())
        stack.callback(kill, worker)
        return worker

    with ExitStack() as stack:
        yield start


def prompt_of(role: str) -> str:
    """By which the fake tells whose prompt it has before it."""
    return f"You sit here as {role}."


def launch(panel: list[Place], **asked: Any) -> Debate:
    asked = {"owner": alice(), "question": "Is it so?", "options": ["Yes", "No"], **asked}
    return launching.start(panel=panel, speech_tokens=100, **asked)


def wait_for_end(debate: Debate) -> None:
    wait_for(lambda: status_of(debate) == Debate.Status.ENDED, seconds=PATIENCE)
    debate.refresh_from_db()


def status_of(debate: Debate) -> str:
    return Debate.objects.values_list("status", flat=True).get(pk=debate.pk)


def kill(worker: Child) -> None:
    if not is_gone(worker.pid):
        os.kill(worker.pid, signal.SIGKILL)
    worker.await_end(patience=5)


def where(debate: Debate) -> tuple[int, str]:
    """The round and the step under way."""
    debate.refresh_from_db()
    last = debate.rounds.latest("number")
    return last.number, debate.conclusion or last.step


def over(debate: Debate) -> Known:
    """What is said and voted, with the run and the attempt that did it."""
    speeches = Speech.objects.filter(round__debate=debate).exclude(status=Speech.Status.WAITING)
    ballots = Ballot.objects.filter(round__debate=debate).exclude(status=Ballot.Status.WAITING)
    both: list[Speech | Ballot] = [*speeches.select_related("run"), *ballots.select_related("run")]
    return {row.pk: (row.run_id, row.run.attempt if row.run else 0, row.status) for row in both}


def left(debate: Debate) -> int:
    """How many are still to speak or vote in this step."""
    speeches = Speech.objects.filter(round__debate=debate, status=Speech.Status.WAITING)
    return speeches.count() + Ballot.objects.filter(round__debate=debate, status=Ballot.Status.WAITING).count()


def assert_each_was_asked_once(debate: Debate, fake: FakeOllama) -> None:
    """One run for each speech and ballot, and one whole answer of the model for each run."""
    subjects = [*Speech.objects.values_list("pk", flat=True), *Ballot.objects.values_list("pk", flat=True)]
    assert sorted(Run.objects.values_list("subject", flat=True)) == sorted(subjects)
    assert set(Run.objects.values_list("status", flat=True)) == {Run.Status.DONE}
    assert set(Speech.objects.values_list("status", flat=True)) == {Speech.Status.DONE}
    assert set(Ballot.objects.values_list("status", flat=True)) == {Ballot.Status.CAST}
    assert [seen.end for seen in fake.stats.streams].count("done") == len(subjects)
    assert not debate.rounds.exclude(step="scored").exists()


# A whole debate


def test_an_open_question_is_debated_to_its_verdict(panel: list[Place], fake: FakeOllama) -> None:
    fake.script(tokens=TOKENS, votes="1 because", json_tokens=40)  # the first of the options that the fake finds
    debate = launch(panel, options=[], belief="probe", protocol="stress-test")
    with worker_process():
        wait_for_end(debate)
    assert [option["text"] for option in debate.options] == ["1 because", "2 because", "Other"]
    assert list(debate.rounds.values_list("kind", flat=True)) == [Round.Kind.BLIND, Round.Kind.CHALLENGE]
    assert debate.verdict is not None
    assert debate.verdict["option"] == "A"
    assert debate.summary == expected_text(TOKENS).strip()
    ballots = list(Ballot.objects.all())
    assert [(b.status, b.option, b.measured is None, b.probed is None) for b in ballots] == [
        (Ballot.Status.CAST, "A", False, False)
    ] * 6
    assert Run.objects.filter(purpose="debate.probe").count() == 6 * 3
    assert set(Run.objects.values_list("status", flat=True)) == {Run.Status.DONE}


# Workers that are killed


def hold_once(fake: FakeOllama, *, role: str, votes: tuple[str, ...]) -> None:
    """Each answer of a seat stops after a few words; the same question asked again is answered. `votes`: of all its
    questions in their order, whatever they ask."""
    for vote in reversed(votes):
        fake.script(containing=prompt_of(role), times=1, tokens=TOKENS, votes=vote)
        fake.script(containing=prompt_of(role), times=1, tokens=TOKENS, votes=vote, silence_after=HELD_AFTER)


def is_held(seen: StreamSeen) -> bool:
    return seen.end == "open" and seen.tokens == HELD_AFTER


def is_held_up(debate: Debate, fake: FakeOllama) -> bool:
    return left(debate) == 1 and any(map(is_held, fake.stats.streams))


@pytest.mark.timeout(600)  # nine workers are started
def test_killed_in_every_step_a_debate_goes_on_and_repeats_nothing(
    panel: list[Place], fake: FakeOllama, start_worker: Callable[[], Child]
) -> None:
    hold_once(fake, role=Role.SKEPTIC, votes=("", "No", *["Yes"] * 4))
    hold_once(fake, role=Role.DEVILS_ADVOCATE, votes=("",))
    hold_once(fake, role=Role.MODERATOR, votes=("",))
    debate = launch(panel, max_rounds=2)
    killed: list[tuple[int, str]] = []
    known: Known = {}
    while status_of(debate) != Debate.Status.ENDED:
        worker = start_worker()
        wait_for(lambda: status_of(debate) == "ended" or is_held_up(debate, fake), seconds=PATIENCE)
        assert {pk: row for pk, row in over(debate).items() if pk in known} == known
        known = over(debate)
        killed.append(where(debate))
        kill(worker)
        fake.wait_until(lambda stats: stats.open_now == 0)
    assert killed[:-1] == [
        (0, "speech"),
        (0, "ballot"),
        (1, "speech"),
        (1, "ballot"),
        (2, "challenge"),
        (2, "speech"),
        (2, "ballot"),
        (2, "verdict"),
    ]
    assert_each_was_asked_once(debate, fake)
    assert sorted(attempt for _, attempt, _ in known.values()) == [1] * 13 + [2] * 8
    assert set(Speech.objects.exclude(kind="checks").values_list("text", flat=True)) == {expected_text(TOKENS).strip()}
    assert sorted(Claim.objects.values_list("number", flat=True)) == list(range(1, Claim.objects.count() + 1))


@pytest.mark.parametrize(("before", "step"), [(0, "speech"), (3, "ballot"), (6, "verdict")])
def test_killed_as_it_takes_the_next_step_a_worker_has_taken_none_of_it(
    before: int, step: str, panel: list[Place], fake: FakeOllama, start_worker: Callable[[], Child]
) -> None:
    debate = play(launch(panel, protocol="blind-vote"), Script(), most=before)
    rounds.advance(debate.pk)
    assert where(debate) == (0, step)
    with transaction.atomic():
        Debate.objects.select_for_update().get(pk=debate.pk)
        worker = start_worker()
        wait_for(lambda: left(debate) == 0 and somebody_waits_for_a_lock(), seconds=PATIENCE)
        kill(worker)
    assert (where(debate), Run.objects.exclude(status=Run.Status.DONE).count()) == ((0, step), 0)
    assert len(over(debate)) == (7 if step == "verdict" else before + 3)
    start_worker()
    tasks.sweep.delay()
    wait_for_end(debate)
    assert Run.objects.count() == 7
    assert set(Run.objects.values_list("attempt", "status")) == {(1, Run.Status.DONE)}


# Doorbells


def test_doorbells_without_number_lead_to_one_course(
    panel: list[Place], fake: FakeOllama, start_worker: Callable[[], Child]
) -> None:
    debate = launch(panel)
    other = launch(panel, protocol="blind-vote", question="Is that so?")
    for _ in range(20):
        tasks.advance.delay(str(debate.pk))
    start_worker()

    def rung_again() -> bool:
        tasks.advance.delay(str(other.pk))
        tasks.advance.delay(str(debate.pk))
        return status_of(debate) == status_of(other) == Debate.Status.ENDED

    wait_for(rung_again, seconds=PATIENCE)
    ended = [debate.rounds.count(), Run.objects.count(), over(debate)]
    for _ in range(20):
        tasks.advance.delay(str(debate.pk))
    again = launch(panel, protocol="blind-vote", question="Was that all?")  # its doorbell comes after all of them
    wait_for_end(again)
    assert [debate.rounds.count(), Run.objects.count() - 7, over(debate)] == ended
    assert_each_was_asked_once(debate, fake)


def test_a_debate_whose_doorbells_were_lost_goes_on_with_the_sweep(
    panel: list[Place], fake: FakeOllama, start_worker: Callable[[], Child], redis_server: RedisServer
) -> None:
    fake.script(tokens=TOKENS, containing=prompt_of(Role.SKEPTIC), times=1, hold_after=HELD_AFTER)
    debate = launch(panel, protocol="blind-vote")
    redis_server.kill()  # with the doorbell that begins it
    redis_server.start()
    start_worker()
    with beat_process():
        wait_for(lambda: is_held_up(debate, fake), seconds=PATIENCE)
        redis_server.kill()
        fake.release()
        wait_for(lambda: left(debate) == 0, seconds=PATIENCE)  # and nobody can be rung for
        assert where(debate) == (0, "speech")
        redis_server.start()
        wait_for_end(debate)
    assert_each_was_asked_once(debate, fake)
