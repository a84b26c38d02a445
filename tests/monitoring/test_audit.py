import pytest
from django.contrib.auth.models import AnonymousUser
from django.db import ProgrammingError, connection, transaction
from django.test import Client, RequestFactory

from lobby import audit
from monitoring.models import AppendOnly, AuditEvent
from tests.factories import make_admin, make_agent, make_user

pytestmark = pytest.mark.django_db


def test_row_says_who_did_what_to_what_and_from_where() -> None:
    alice, agent = make_user(), make_agent()
    request = RequestFactory().get("/", REMOTE_ADDR="2001:db8::1")
    request.user = alice

    audit.record("agent.changed", request=request, subject=agent, fields=["name"])

    row = AuditEvent.objects.get()
    assert (row.action, row.actor_id, row.actor_name) == ("agent.changed", alice.pk, "alice")
    assert (row.subject_kind, row.subject_id, row.detail) == ("agents.agent", str(agent.pk), {"fields": ["name"]})
    assert row.address == "2001:db8::1"


@pytest.mark.parametrize("address", ["", "unix:", "garbage"])
def test_address_that_is_none_is_left_out(address: str) -> None:
    request = RequestFactory().get("/", REMOTE_ADDR=address)
    request.user = AnonymousUser()

    audit.record("session.refused", request=request)

    row = AuditEvent.objects.get()
    assert (row.address, row.actor_id, row.actor_name) == (None, None, "")


def test_forwarded_header_is_not_believed() -> None:
    request = RequestFactory().get("/", REMOTE_ADDR="192.0.2.1", HTTP_X_FORWARDED_FOR="203.0.113.9")

    assert audit.client_address(request) == "192.0.2.1"


def test_row_outlives_the_account() -> None:
    alice = make_user()
    audit.record("account.changed", actor=alice)
    alice.delete()

    assert AuditEvent.objects.get().actor_name == "alice"


def test_models_refuse_to_change_or_delete_a_row() -> None:
    audit.record("account.changed")
    row = AuditEvent.objects.get()

    for attempt in (row.save, row.delete, AuditEvent.objects.all().delete):
        with pytest.raises(AppendOnly):
            attempt()
    with pytest.raises(AppendOnly):
        AuditEvent.objects.update(action="x")


@pytest.mark.parametrize(
    "statement", ["DELETE FROM monitoring_auditevent", "UPDATE monitoring_auditevent SET action = ''"]
)
def test_database_refuses_to_change_or_delete_a_row(statement: str) -> None:
    audit.record("account.changed")

    with pytest.raises(ProgrammingError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)
    assert AuditEvent.objects.count() == 1


def test_admins_read_the_trail_and_cannot_touch_it(client: Client) -> None:
    audit.record("account.changed")
    row = AuditEvent.objects.get()
    client.force_login(make_admin())

    assert client.get("/admin/monitoring/auditevent/").status_code == 200
    assert client.get(f"/admin/monitoring/auditevent/{row.pk}/change/").status_code == 200
    for path in ("add/", f"{row.pk}/delete/"):
        assert client.post(f"/admin/monitoring/auditevent/{path}", {"post": "yes"}).status_code == 403


def test_row_of_a_deleted_account_can_be_read(client: Client) -> None:
    alice = make_user()
    audit.record("account.changed", actor=alice)
    row = AuditEvent.objects.get()
    alice.delete()
    client.force_login(make_admin())

    assert client.get(f"/admin/monitoring/auditevent/{row.pk}/change/").status_code == 200
