"""What holds for every list of the admin, whatever it lists."""

from collections.abc import Callable
from datetime import timedelta
from itertools import count
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group, User
from django.db import connection
from django.db.models import Model
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from agents.models import Agent, Host, Pull, Run, Worker
from chat.models import Conversation
from debates.models import Calibration, Debate
from lobby.accounts.models import ApiKey, Invitation, Limit
from lobby.site import COUNTED, Pages
from monitoring.models import Alert, AlertRule, AuditEvent, Receiver
from tests.debates.rows import make_debate
from tests.factories import make_admin, make_agent, make_conversation, make_host, make_message, make_run, make_user

pytestmark = pytest.mark.django_db

MOST_QUERIES = 12
numbers = count(1)


def somebody() -> User:
    return make_user(f"user-{next(numbers)}")


def alert(**fields: Any) -> Alert:
    rule = AlertRule.objects.create(name=f"rule {next(numbers)}", metric="queue_runs", bound=1)
    return Alert.objects.create(
        rule=rule, value=2, acknowledged_by=somebody(), **{"raised_at": timezone.now()} | fields
    )


def conversation() -> Conversation:
    found = make_conversation(owner=somebody())
    make_message(found)
    return found


def key() -> ApiKey:
    number = next(numbers)
    return ApiKey.objects.create(user=somebody(), name="script", prefix=f"p{number}", digest="d", scopes=["chat"])


def invitation() -> Invitation:
    until = timezone.now() + timedelta(days=1)
    return Invitation.objects.create(digest=str(next(numbers)), expires_at=until, invited_by=somebody())


def member() -> Group:
    group = Group.objects.create(name=f"group {next(numbers)}")
    somebody().groups.add(group)
    return group


# One row of every table that the admin lists, with all that its list shows of other rows.
MAKERS: dict[type[Model], Callable[[], Any]] = {
    Agent: lambda: make_agent(host=make_host()),
    AlertRule: lambda: AlertRule.objects.create(name=f"rule {next(numbers)}", metric="queue_runs", bound=1),
    Alert: alert,
    ApiKey: key,
    AuditEvent: lambda: AuditEvent.objects.create(action="test", actor=somebody()),
    Calibration: lambda: Calibration.objects.create(model=f"model {next(numbers)}", ballots=1, fit={}),
    Conversation: conversation,
    Debate: lambda: make_debate(owner=somebody(), votes=["AB"]),
    Group: member,
    Host: make_host,
    Invitation: invitation,
    Limit: lambda: Limit.objects.create(kind="runs_per_hour", scope="user", user=somebody(), value=1),
    Pull: lambda: Pull.objects.create(host=make_host(), model="m", asked_by=somebody()),
    Receiver: lambda: Receiver.objects.create(kind="email", address=f"{next(numbers)}@example.org"),
    Run: lambda: make_run(owner=somebody(), host=make_host(), agent=make_agent()),
    User: somebody,
    Worker: lambda: Worker.objects.create(machine="here", pid=next(numbers)),
}


@pytest.fixture
def carol(client: Client) -> Client:
    client.force_login(make_admin())
    return client


def list_of(model: type[Model]) -> str:
    return f"/admin/{model._meta.app_label}/{model._meta.model_name}/"


def queries_of(client: Client, path: str) -> list[str]:
    with CaptureQueriesContext(connection) as queries:
        assert client.get(path).status_code == 200
    return [query["sql"] for query in queries]


def test_every_registered_table_is_walked() -> None:
    ours = {model for model in admin.site._registry if not model.__module__.startswith("allauth.")}
    assert ours == set(MAKERS)


@pytest.mark.parametrize("model", MAKERS, ids=lambda model: model.__name__)
def test_list_takes_as_many_queries_for_three_rows_as_for_one_and_no_more_than_twelve(
    carol: Client, model: type[Model]
) -> None:
    MAKERS[model]()
    carol.get(list_of(model))  # what is read once per process
    for_one = queries_of(carol, list_of(model))
    MAKERS[model]()
    MAKERS[model]()
    for_three = queries_of(carol, list_of(model))

    assert len(for_three) == len(for_one), "\n".join(for_three)
    assert len(for_three) <= MOST_QUERIES, "\n".join(for_three)


@pytest.mark.parametrize("model", MAKERS, ids=lambda model: model.__name__)
def test_page_of_a_row_opens(carol: Client, model: type[Model]) -> None:
    row = MAKERS[model]()
    assert carol.get(f"{list_of(model)}{row.pk}/change/").status_code == 200


def test_overview_names_open_alerts_for_who_may_see_them(carol: Client) -> None:
    alert(subject="gpu", raised_at=timezone.now())
    assert "gpu" in carol.get("/admin/").content.decode()

    dave = Client()
    dave.force_login(make_user("dave", is_staff=True))
    page = dave.get("/admin/").content.decode()
    assert "Open alerts" not in page
    assert "/admin/auth/user/" not in page


def test_past_ten_thousand_rows_the_planner_is_asked() -> None:
    AuditEvent.objects.bulk_create(AuditEvent(action="test") for _ in range(COUNTED + 2))
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE monitoring_auditevent")
    pages = Pages(AuditEvent.objects.all(), 100)
    assert (pages.count, pages.num_pages) == (COUNTED, COUNTED // 100)
    assert pages.total == pytest.approx(COUNTED + 2, rel=0.05)
    few = Pages(AuditEvent.objects.filter(pk__lt=AuditEvent.objects.earliest("pk").pk + 3), 100)
    assert (few.count, few.total) == (3, None)


@pytest.mark.parametrize("model", [Run, Conversation, Debate, ApiKey], ids=lambda model: model.__name__)
def test_rows_are_found_by_id_and_by_the_beginning_of_a_name(carol: Client, model: type[Model]) -> None:
    row, other = MAKERS[model](), MAKERS[model]()
    owner = row.user if model is ApiKey else row.owner
    for term in (str(row.pk), str(row.pk)[:8].upper(), f" {owner.username} "):
        found = carol.get(list_of(model), {"q": term}).context["cl"].result_list
        assert [each.pk for each in found] == [row.pk]
    for term in ("nobody", "deadbeef", str(row.pk)[:7]):
        assert carol.get(list_of(model), {"q": term}).context["cl"].result_count == 0
    assert other.pk != row.pk
