"""What a user may ask of agents: refused in words, or waiting its turn."""

from concurrent.futures import ThreadPoolExecutor
from datetime import date
from threading import Barrier
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import Group, User
from django.db import connection, transaction
from django.db.models.functions import Now

from agents import leases, limits, queue, runs
from agents.breaker import Gates
from agents.errors import Refused, TokensUsedUp, TooManyRuns
from agents.models import Agent, Run
from lobby.accounts import allowances
from lobby.accounts.allowances import METERS, Kind, Scope, choose
from lobby.accounts.models import Limit, Use
from monitoring.models import AuditEvent
from tests.conftest import RedisServer
from tests.factories import MODEL, make_agent, make_host, make_run, make_user

pytestmark = pytest.mark.django_db
committed = pytest.mark.django_db(transaction=True)
OPEN = Gates({}, now=0)


@pytest.fixture
def agent() -> Agent:
    make_host(max_parallel=50)
    return make_agent(model=MODEL)


def ask(owner: User, agent: Agent, **changes: Any) -> Run:
    defaults: dict[str, Any] = {
        "purpose": "test",
        "subject": uuid4(),
        "topic": "",
        "messages": [{"role": "user", "content": "hi"}],
    }
    with transaction.atomic():
        return runs.enqueue(**defaults | changes, owner=owner, agent=agent)


def hold(kind: Kind, value: int | None, *, scope: str = Scope.EACH, **whom: Any) -> None:
    Limit.objects.update_or_create(kind=kind, scope=scope, **whom, defaults={"value": value})


def refusal(owner: User, agent: Agent, **changes: Any) -> Refused:
    before = Run.objects.count()
    with pytest.raises((TooManyRuns, TokensUsedUp)) as refused:
        ask(owner, agent, **changes)
    assert Run.objects.count() == before
    return refused.value


def claim() -> list[Run]:
    return queue.claim(worker=leases.register().pk, cursor="5-0", gates=OPEN)


class TestLine:
    def test_a_full_line_is_refused_with_its_length_and_when_to_try_again(self, agent: Agent) -> None:
        alice = make_user()
        hold(Kind.RUNS_QUEUED, 2)
        ask(alice, agent), ask(alice, agent)
        refused = refusal(alice, agent)
        assert refused.message == (
            "2 of your questions wait in line, and 2 is the limit. Wait for one to start, or stop one."
        )
        assert (refused.kind, refused.retry_after, refused.limit) == ("too_many_runs", 5, "runs_queued")

    def test_what_is_written_waits_no_more(self, agent: Agent) -> None:
        alice = make_user()
        hold(Kind.RUNS_QUEUED, 1)
        ask(alice, agent)
        claim()
        assert ask(alice, agent).status == "queued"

    def test_runs_of_debates_and_titles_neither_wait_in_it_nor_are_held_up(self, agent: Agent) -> None:
        alice = make_user()
        hold(Kind.RUNS_QUEUED, 1)
        ask(alice, agent, priority=Run.Priority.DEBATE, is_limited=False)
        ask(alice, agent, priority=Run.Priority.BACKGROUND)
        ask(alice, agent)
        assert ask(alice, agent, priority=Run.Priority.BACKGROUND).status == "queued"

    def test_the_line_of_all_users_together_is_full_for_everybody(self, agent: Agent) -> None:
        hold(Kind.RUNS_QUEUED, 2, scope=Scope.INSTALLATION)
        ask(make_user(), agent), ask(make_user("bob"), agent)
        refused = refusal(make_user("dora"), agent)
        assert refused.message == (
            "2 questions of all users wait in line, as many as this lobby takes. Try again in 5 s."
        )

    @committed
    def test_30_questions_at_once_never_make_the_line_longer_than_its_limit(self, agent: Agent) -> None:
        alice, together = make_user(), Barrier(30)
        hold(Kind.RUNS_QUEUED, 5)

        def one(_: int) -> bool:
            try:
                together.wait(timeout=120)
                return bool(ask(alice, agent))
            except TooManyRuns:
                return False
            finally:
                connection.close()

        with ThreadPoolExecutor(30) as threads:
            accepted = list(threads.map(one, range(30)))

        assert (sum(accepted), Run.objects.count()) == (5, 5)

    @pytest.mark.parametrize(("limit", "waiting", "is_locked"), [(40, 8, False), (40, 9, True), (5, 0, True)])
    def test_only_near_its_end_questions_are_counted_one_at_a_time(
        self, agent: Agent, limit: int, waiting: int, is_locked: bool
    ) -> None:
        alice = make_user()
        hold(Kind.RUNS_QUEUED, limit)
        for _ in range(waiting):
            make_run(owner=alice, agent=agent)
        with transaction.atomic(), connection.cursor() as cursor:
            ask(alice, agent)
            cursor.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = %s", [alice.pk])
            assert cursor.fetchone() == (int(is_locked),)


class TestHour:
    def test_beyond_the_hour_it_says_when_to_try_again(self, agent: Agent) -> None:
        alice = make_user()
        hold(Kind.RUNS_PER_HOUR, 1)
        ask(alice, agent)
        refused = refusal(alice, agent)
        assert refused.message == "That was the limit of 1 answers an hour. Try again in 1 h."
        assert (3500 < (refused.retry_after or 0) <= 3600, refused.limit) == (True, "runs_per_hour")

    def test_a_limit_raised_meanwhile_lets_one_more_in(self, agent: Agent) -> None:
        alice = make_user()
        hold(Kind.RUNS_PER_HOUR, 1)
        ask(alice, agent)
        refusal(alice, agent)
        hold(Kind.RUNS_PER_HOUR, 2)
        ask(alice, agent)
        refusal(alice, agent)

    def test_the_hour_of_all_together_uses_up_nobodys_own(self, agent: Agent) -> None:
        alice, bob = make_user(), make_user("bob")
        hold(Kind.RUNS_PER_HOUR, 2)
        hold(Kind.RUNS_PER_HOUR, 1, scope=Scope.INSTALLATION)
        ask(alice, agent)
        for _ in range(3):
            assert refusal(bob, agent).message.startswith("All users together had 1 answers within an hour")
        hold(Kind.RUNS_PER_HOUR, 10, scope=Scope.INSTALLATION)
        ask(bob, agent), ask(bob, agent)

    def test_without_redis_the_rows_are_counted(self, agent: Agent, redis_server: RedisServer) -> None:
        alice = make_user()
        hold(Kind.RUNS_PER_HOUR, 2)
        redis_server.kill()
        ask(alice, agent), ask(alice, agent)
        assert refusal(alice, agent).retry_after == 60

    @committed
    def test_80_percent_of_it_are_said(self, agent: Agent) -> None:
        alice = make_user()
        hold(Kind.RUNS_PER_HOUR, 5)
        for _ in range(4):
            ask(alice, agent)
        event = AuditEvent.objects.get(action="limit.near")
        assert (event.detail["kind"], event.detail["used"], event.detail["limit"]) == ("runs_per_hour", 4, 5)


class TestDay:
    def finish(self, run: Run, **result: Any) -> None:
        (mine,) = claim()
        assert mine.pk == run.pk
        assert runs.finish(mine, **{"status": Run.Status.DONE} | result)

    def test_tokens_that_are_used_up_are_refused_until_midnight(self, agent: Agent) -> None:
        alice = make_user()
        hold(Kind.TOKENS_PER_DAY, 100)
        self.finish(ask(alice, agent), prompt_tokens=60, output_tokens=40)
        refused = refusal(alice, agent)
        assert refused.message.startswith("Today's 100 tokens are used up. They renew at 00:00 UTC, in ")
        assert (refused.kind, refused.status, refused.limit) == ("tokens_used_up", 429, "tokens_per_day")
        assert 0 < (refused.retry_after or 0) <= 86_400
        assert refusal(alice, agent, priority=Run.Priority.BACKGROUND).kind == "tokens_used_up"

    def test_tokens_of_a_debate_count_and_are_not_held_up_by_them(self, agent: Agent) -> None:
        alice = make_user()
        hold(Kind.TOKENS_PER_DAY, 100)
        speech = ask(alice, agent, priority=Run.Priority.DEBATE, is_limited=False)
        self.finish(speech, prompt_tokens=100, output_tokens=50)
        assert refusal(alice, agent).kind == "tokens_used_up"
        assert ask(alice, agent, priority=Run.Priority.DEBATE, is_limited=False).status == "queued"

    def test_those_of_yesterday_count_no_more_and_those_of_deleted_runs_do(self, agent: Agent) -> None:
        alice = make_user()
        hold(Kind.TOKENS_PER_DAY, 100)
        self.finish(ask(alice, agent), prompt_tokens=60, output_tokens=40)
        Run.objects.all().delete()
        refusal(alice, agent)
        Use.objects.update(day=date(2026, 1, 1))
        ask(alice, agent)

    @pytest.mark.parametrize(
        ("result", "tokens"),
        [
            ({"prompt_tokens": 7, "output_tokens": 5}, 12),
            ({"status": Run.Status.CANCELLED, "text": "x" * 398}, 100),  # as is the prompt: four characters a token
            ({"status": Run.Status.INTERRUPTED, "text": "", "thinking": "x" * 38}, 10),
            ({"status": Run.Status.CANCELLED, "text": "", "thinking": ""}, 0),
            ({"status": Run.Status.FAILED, "error": "no"}, 0),
        ],
    )
    def test_what_no_host_counted_is_estimated_from_the_text(
        self, agent: Agent, result: dict[str, Any], tokens: int
    ) -> None:
        alice = make_user()
        self.finish(ask(alice, agent), **result)
        assert METERS[Kind.TOKENS_PER_DAY](alice.pk).number == tokens

    @committed
    def test_all_users_together_use_up_the_installations(self, agent: Agent) -> None:
        alice, bob = make_user(), make_user("bob")
        hold(Kind.TOKENS_PER_DAY, 100, scope=Scope.INSTALLATION)
        for owner, prompt_tokens in ((alice, 50), (bob, 45), (bob, 5)):
            run = ask(owner, agent)
            allowances.forget()  # what all together used is kept for some seconds
            self.finish(run, prompt_tokens=prompt_tokens, output_tokens=0)
        assert refusal(alice, agent).message.startswith("All users together have used up today's 100 tokens")
        marks = AuditEvent.objects.filter(action__startswith="limit.").order_by("pk")
        assert [(event.actor_id, event.detail["percent"]) for event in marks] == [(None, 95), (None, 100)]


@pytest.mark.parametrize("kind", [Kind.RUNS_QUEUED, Kind.RUNS_PER_HOUR, Kind.TOKENS_PER_DAY])
def test_a_limit_of_0_says_that_it_is_switched_off(kind: Kind, agent: Agent) -> None:
    alice = make_user()
    hold(kind, 0, scope=Scope.USER, user=alice)
    assert refusal(alice, agent).message == "An admin has switched this off: the limit is 0."
    assert ask(make_user("bob"), agent).status == "queued"


@pytest.mark.parametrize("kind", [Kind.RUNS_QUEUED, Kind.RUNS_PER_HOUR, Kind.TOKENS_PER_DAY])
def test_no_limit_is_no_limit(kind: Kind, agent: Agent, settings: Any) -> None:
    setattr(settings, allowances.SETTINGS[kind], 0)
    alice = make_user()
    hold(kind, None, scope=Scope.USER, user=alice)
    assert ask(alice, agent).status == "queued"


class TestAtOnce:
    def test_beyond_it_replies_wait_their_turn(self, agent: Agent) -> None:
        alice = make_user()
        hold(Kind.RUNS_AT_ONCE, 2)
        asked = [ask(alice, agent).pk for _ in range(4)]
        first = claim()
        assert [run.pk for run in first] == asked[:2]
        assert claim() == []
        runs.finish(first[0], status=Run.Status.DONE)
        assert [run.pk for run in claim()] == asked[2:3]

    def test_who_waits_for_his_own_turn_keeps_nobody_else_waiting(self, agent: Agent) -> None:
        alice, bob = make_user(), make_user("bob")
        hold(Kind.RUNS_AT_ONCE, 1)
        for owner in (alice, alice, bob, alice, bob):
            ask(owner, agent)
        assert sorted(run.owner_id for run in claim()) == [alice.pk, bob.pk]

    def test_runs_of_debates_and_titles_are_not_counted(self, agent: Agent) -> None:
        alice = make_user()
        hold(Kind.RUNS_AT_ONCE, 1)
        for _ in range(2):
            ask(alice, agent, priority=Run.Priority.DEBATE, is_limited=False)
            ask(alice, agent, priority=Run.Priority.BACKGROUND)
        assert len(claim()) == 4
        reply = ask(alice, agent)
        ask(alice, agent)
        assert [run.pk for run in claim()] == [reply.pk]

    def test_all_users_together_have_the_installations(self, agent: Agent) -> None:
        hold(Kind.RUNS_AT_ONCE, 3, scope=Scope.INSTALLATION)
        for owner in (make_user(), make_user("bob")):
            ask(owner, agent), ask(owner, agent)
        speech = ask(make_user("dora"), agent, priority=Run.Priority.DEBATE, is_limited=False)
        taken = claim()
        assert [run.priority for run in taken] == [0, 0, 0, 10]
        assert speech.pk in {run.pk for run in taken}
        assert claim() == []

    def test_0_at_once_leaves_all_waiting(self, agent: Agent) -> None:
        hold(Kind.RUNS_AT_ONCE, 0)
        ask(make_user(), agent)
        assert claim() == []

    def test_the_queue_allows_each_owner_what_the_rows_choose(self, agent: Agent) -> None:
        crowd, few = Group.objects.create(name="Crowd"), Group.objects.create(name="Few")
        users = {name: make_user(name) for name in ("nobody", "own", "none", "group", "both", "all")}
        for name, groups in {"own": [crowd], "group": [few], "both": [crowd, few], "all": [crowd, few]}.items():
            users[name].groups.set(groups)
        unlimited = Group.objects.create(name="Unlimited")
        users["all"].groups.add(unlimited)
        hold(Kind.RUNS_AT_ONCE, 1)
        for group, value in ((crowd, 4), (few, 2), (unlimited, None)):
            hold(Kind.RUNS_AT_ONCE, value, scope=Scope.GROUP, group=group)
        hold(Kind.RUNS_AT_ONCE, 3, scope=Scope.USER, user=users["own"])
        hold(Kind.RUNS_AT_ONCE, None, scope=Scope.USER, user=users["none"])
        for user in users.values():
            make_run(owner=user, agent=agent)
        with connection.cursor() as cursor:
            cursor.execute(queue.ALLOWED, limits.at_once())
            told = {owner: None if most == limits.NO_LIMIT else most for owner, most in cursor.fetchall()}
        rows = allowances.rows_of(Kind.RUNS_AT_ONCE)
        chosen = {
            user.pk: choose(rows, user=user.pk, groups=set(user.groups.values_list("pk", flat=True)), default=20)
            for user in users.values()
        }
        assert told == chosen
        assert [told[users[name].pk] for name in users] == [1, 3, None, 2, 4, None]


def test_meters_tell_what_is_used(agent: Agent) -> None:
    alice, bob = make_user(), make_user("bob")
    make_run(owner=alice, agent=agent)
    make_run(owner=alice, agent=agent, status="running")
    make_run(owner=alice, agent=agent, status="running", priority=10)
    old = make_run(owner=alice, agent=agent, status="done")
    Run.objects.filter(pk=old.pk).update(queued_at=Now() - limits.HOUR)
    make_run(owner=bob, agent=agent)
    kinds = (Kind.RUNS_AT_ONCE, Kind.RUNS_QUEUED, Kind.RUNS_PER_HOUR)
    told = [[METERS[kind](owner).number for kind in kinds] for owner in (alice.pk, bob.pk, None)]
    assert told == [[1, 1, 2], [0, 1, 1], [1, 2, 3]]
    first = Run.objects.filter(owner=alice, status="queued").get().queued_at
    assert METERS[Kind.RUNS_PER_HOUR](alice.pk).resets_at == first + limits.HOUR
