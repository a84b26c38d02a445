"""Rows are moved in time to the very edge: what is just as old as it may be stays, a microsecond more and it goes."""

from datetime import datetime, timedelta
from threading import Event, Thread
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.sessions.models import Session
from django.db import connection, transaction
from django.utils import timezone

from agents.models import Run
from chat import context
from debates.models import Ballot, Debate, Probe, Round, Seat, Speech
from lobby import audit
from lobby.accounts.models import ApiKey, Invitation, UserSession
from monitoring import retention, totals
from monitoring.models import Alert, AlertRule, AuditEvent, Notification, Receiver
from tests.factories import alice, make_conversation, make_message, make_run

pytestmark = pytest.mark.django_db

NOW = timezone.now()
EDGE, PAST_IT = timedelta(0), timedelta(microseconds=1)
PROMPT = [{"role": "user", "content": "What is a lease?"}]


@pytest.fixture(autouse=True)
def days(settings: Any) -> None:
    """A different age for each, so that none can be taken for another."""
    settings.KEEP_PROMPTS, settings.KEEP_RUNS = 30, 90
    settings.KEEP_EXPIRED, settings.KEEP_ALERTS = 60, 180


def at(days: float, beyond: timedelta = EDGE) -> datetime:
    return NOW - timedelta(days=days) - beyond


def ended(finished_at: datetime, **fields: Any) -> Run:
    defaults: dict[str, Any] = {"status": Run.Status.DONE, "finished_at": finished_at}
    return make_run(**defaults | fields)


# Prompts


@pytest.mark.parametrize(("beyond", "kept"), [(EDGE, True), (PAST_IT, False)])
def test_a_prompt_goes_at_its_age_and_the_reply_stays(beyond: timedelta, kept: bool) -> None:
    run = ended(at(30, beyond), text="A term of use.", format={"type": "object"}, logprobs=[{"token": "A"}])

    done = retention.let_go(now=NOW)

    run.refresh_from_db()
    told = (run.messages, run.format, run.logprobs)
    assert told == ((PROMPT, {"type": "object"}, [{"token": "A"}]) if kept else ([], None, None))
    assert (run.text, run.status) == ("A term of use.", Run.Status.DONE)
    assert done == ({} if kept else {"prompts": 1})


@pytest.mark.parametrize("status", [Run.Status.QUEUED, Run.Status.RUNNING, Run.Status.FAILED])
def test_a_run_that_may_still_be_asked_keeps_its_prompt(status: str) -> None:
    over = at(1000) if status == Run.Status.FAILED else None
    run = make_run(status=status, finished_at=over, queued_at=at(1000), subject=make_message())

    assert retention.let_go(now=NOW) == {}
    run.refresh_from_db()
    assert run.messages == PROMPT


@pytest.mark.parametrize("status", [Run.Status.DONE, Run.Status.CANCELLED, Run.Status.INTERRUPTED])
def test_doing_it_again_finds_nothing(status: str) -> None:
    ended(at(31), status=status)

    assert [retention.let_go(now=NOW) for _ in range(2)] == [{"prompts": 1}, {}]


def test_more_rows_than_go_at_once_take_more_steps() -> None:
    number = retention.AT_ONCE + 1
    Run.objects.bulk_create(
        Run(owner=alice(), model="m", messages=PROMPT, subject=uuid4(), status=Run.Status.DONE, finished_at=at(31))
        for _ in range(number)
    )

    assert retention.let_go(now=NOW) == {"prompts": number}


def test_the_prompts_to_let_go_are_found_by_their_index() -> None:
    """It holds just them, whatever their age; the one that could serve as well holds every run."""
    rows = Run.objects.filter(retention.WITH_PROMPT, finished_at__lt=at(30)).order_by("finished_at")
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute("DROP INDEX run_by_end")

    assert "run_with_prompt" in rows.explain()


def test_a_chat_goes_on_after_its_prompts_went() -> None:
    conversation = make_conversation()
    question = make_message(conversation)
    reply = make_message(conversation, parent=question, role=question.Role.ASSISTANT, text="A term of use.")
    reply.run = ended(at(31), subject=reply, agent=conversation.agent, prompt_tokens=1000)
    reply.save()
    retention.let_go(now=NOW)

    later = make_message(conversation, parent=reply, text="Who ends it?")
    answer = make_message(conversation, parent=later, role=question.Role.ASSISTANT, text="")
    prompt, trimmed = context.build_prompt(answer)
    assert ([message["role"] for message in prompt][-3:], trimmed) == (["user", "assistant", "user"], 0)


# Runs that belong to nothing


def subjects() -> dict[str, Any]:
    """A row of each kind that a run can work for."""
    debate = Debate.objects.create(owner=alice(), question="Why?", protocol="delphi", rule="majority")
    seat = Seat.objects.create(
        debate=debate, position=1, alias="A", name="A", role="analyst", initials="A", colour="#000000", model="m",
        votes=True,
    )  # fmt: skip
    round = Round.objects.create(debate=debate, number=0, kind="blind", step="scored")
    ballot = Ballot.objects.create(round=round, seat=seat)
    return {
        "message": make_message(),
        "conversation": make_conversation(),
        "speech": Speech.objects.create(round=round, seat=seat),
        "ballot": ballot,
        "probe": Probe.objects.create(ballot=ballot, shift=0, letters={}),
    }


@pytest.mark.parametrize(("beyond", "left"), [(EDGE, 1), (PAST_IT, 0)])
def test_a_run_of_nothing_goes_at_its_age(beyond: timedelta, left: int) -> None:
    ended(at(90, beyond))

    retention.let_go(now=NOW)
    assert Run.objects.count() == left


def test_a_run_of_something_stays_however_old() -> None:
    for row in subjects().values():
        ended(at(2000), subject=row)

    retention.let_go(now=NOW)
    assert Run.objects.count() == len(subjects())


def test_every_old_run_is_looked_at_also_those_of_the_same_moment() -> None:
    owned = make_message()
    for day in (100, 100, 100, 100, 100, 99, 98):
        ended(at(day))
        ended(at(day), subject=owned)

    assert retention.forget_orphans(at(90), looked_at=2) == 7
    assert list(Run.objects.order_by().values_list("subject", flat=True)) == [owned.pk] * 7


def test_old_runs_are_gone_through_once_a_day() -> None:
    retention.let_go(now=NOW)
    ended(at(100), messages=[])

    assert retention.let_go(now=NOW) == {}
    assert Run.objects.count() == 1


# Sign-in


@pytest.mark.parametrize(("beyond", "left"), [(EDGE, 1), (PAST_IT, 0)])
def test_a_session_goes_when_it_has_run_out(beyond: timedelta, left: int) -> None:
    Session.objects.create(session_key="a", session_data="", expire_date=at(0, beyond))

    retention.let_go(now=NOW)
    assert Session.objects.count() == left


@pytest.mark.parametrize(("beyond", "has_session", "left"), [(EDGE, False, 1), (PAST_IT, False, 0), (PAST_IT, True, 1)])
def test_a_browser_goes_after_its_session(beyond: timedelta, has_session: bool, left: int) -> None:
    UserSession.objects.create(user=alice(), key="a", seen_at=at(1, beyond))
    if has_session:
        Session.objects.create(session_key="a", session_data="", expire_date=at(-1))

    retention.let_go(now=NOW)
    assert UserSession.objects.count() == left


def make_key(**fields: Any) -> ApiKey:
    number = ApiKey.objects.count()
    return ApiKey.objects.create(user=alice(), name="key", prefix=f"{number}", digest="", scopes=[], **fields)


@pytest.mark.parametrize("moment", ["expires_at", "revoked_at"])
def test_a_key_that_no_longer_works_goes_at_its_age(moment: str) -> None:
    stays = [make_key(**{moment: at(60)}), make_key(**{moment: at(-1)}), make_key()]
    make_key(**{moment: at(60, PAST_IT)})

    assert retention.let_go(now=NOW) == {"api_keys": 1}
    assert set(ApiKey.objects.all()) == set(stays)


def test_an_invitation_that_no_longer_works_goes_at_its_age() -> None:
    stays = Invitation.objects.create(digest="a", expires_at=at(60))
    Invitation.objects.create(digest="b", expires_at=at(60, PAST_IT))

    assert retention.let_go(now=NOW) == {"invitations": 1}
    assert Invitation.objects.get() == stays


# Alerts


def make_alert(**fields: Any) -> Alert:
    rule, _ = AlertRule.objects.get_or_create(name="too many", defaults={"metric": "workers", "bound": 1})
    alert = Alert.objects.create(rule=rule, value=2, since=at(1000), **fields)
    receiver, _ = Receiver.objects.get_or_create(kind="email", address="carol@lobby.example")
    Notification.objects.create(alert=alert, receiver=receiver, event="raised", state="sent")
    return alert


def test_a_resolved_alert_goes_at_its_age_with_its_notes_and_an_open_one_never() -> None:
    stays = [make_alert(subject="open"), make_alert(subject="edge", resolved_at=at(180))]
    make_alert(subject="past", resolved_at=at(180, PAST_IT))

    assert retention.let_go(now=NOW) == {"alerts": 1}
    assert set(Alert.objects.all()) == set(stays)
    assert Notification.objects.count() == 2


# All of it


def test_zero_keeps_for_ever(settings: Any) -> None:
    settings.KEEP_PROMPTS = settings.KEEP_RUNS = settings.KEEP_EXPIRED = settings.KEEP_ALERTS = 0
    ended(at(4000))
    make_key(expires_at=at(4000))
    Invitation.objects.create(digest="a", expires_at=at(4000))
    make_alert(resolved_at=at(4000))

    assert retention.let_go(now=NOW) == {}


def test_the_audit_trail_stays() -> None:
    audit.record("agent.changed", actor=alice())
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE monitoring_auditevent DISABLE TRIGGER append_only")
        cursor.execute("UPDATE monitoring_auditevent SET at = %s", [at(9000)])
        cursor.execute("ALTER TABLE monitoring_auditevent ENABLE TRIGGER append_only")

    retention.let_go(now=NOW)
    assert AuditEvent.objects.count() == 1


def test_counters_do_not_fall() -> None:
    for _ in range(3):
        ended(at(100), prompt_tokens=10, output_tokens=5)
    before = {(each.name, each.labels): each.value for each in totals.read()}

    assert retention.let_go(now=NOW) == {"prompts": 3, "runs": 3}
    assert {(each.name, each.labels): each.value for each in totals.read()} == before
    assert Run.objects.count() == 0


@pytest.mark.django_db(transaction=True)
def test_a_row_that_somebody_is_at_is_left_for_the_next_time() -> None:
    held, free = ended(at(31)), ended(at(31))
    locked, looked = Event(), Event()

    def hold() -> None:
        with transaction.atomic():
            Run.objects.select_for_update().get(pk=held.pk)
            locked.set()
            looked.wait(120)
        connection.close()

    other = Thread(target=hold)
    other.start()
    assert locked.wait(60)
    first = retention.let_go(now=NOW)
    looked.set()
    other.join()

    assert [first, retention.let_go(now=NOW)] == [{"prompts": 1}, {"prompts": 1}]
    assert free.pk != held.pk
