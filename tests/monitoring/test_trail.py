"""The audit trail searched and taken out, by whoever may read it."""

import csv
from collections.abc import Callable
from datetime import UTC, date, datetime
from io import StringIO
from typing import Any

import orjson
import pytest
from django.conf import settings
from django.contrib.auth.models import Permission, User
from django.db import ProgrammingError, connection, transaction
from django.test import Client
from pytest_django.asserts import assertNumQueries

from lobby import audit
from lobby.accounts import keys
from monitoring import trail
from monitoring.models import AuditEvent
from monitoring.trail import Asked
from tests.factories import make_admin, make_agent, make_run, make_user

pytestmark = pytest.mark.django_db


def note(action: str = "agent.changed", **fields: Any) -> AuditEvent:
    defaults: dict[str, Any] = {"actor_name": "alice", "subject_kind": "agents.agent", "subject_id": "1"}
    return AuditEvent.objects.create(action=action, **defaults | fields)


def on(day: int) -> datetime:
    return datetime(2026, 3, day, 23, 59, 59, tzinfo=UTC)


@pytest.mark.parametrize(
    "asked, found",
    [
        (Asked(), ["d", "c", "b", "a"]),
        (Asked(actor="bob"), ["b"]),
        (Asked(action="agent"), ["b", "a"]),
        (Asked(action="agent.changed"), ["a"]),
        (Asked(kind="debates.debate"), ["c"]),
        (Asked(kind="agents.agent", subject="2"), ["b"]),
        (Asked(since=date(2026, 3, 3)), ["d", "c"]),
        (Asked(until=date(2026, 3, 2)), ["b", "a"]),
        (Asked(since=date(2026, 3, 2), until=date(2026, 3, 3)), ["c", "b"]),
        (Asked(until=date.max), ["d", "c", "b", "a"]),
        (Asked(q="zanzi"), ["d"]),
        (Asked(q="192.0.2.7"), ["c"]),
        (Asked(q="AGENT.CLO"), ["b"]),
        (Asked(q="100%"), []),
        (Asked(actor="alice", q="bob"), []),
    ],
)
def test_rows_are_found_by_actor_object_action_time_and_text(asked: Asked, found: list[str]) -> None:
    note(at=on(1), detail={"row": "a"})
    note("agent.cloned", at=on(2), actor_name="bob", subject_id="2", detail={"row": "b"})
    note("debate.deleted", at=on(3), subject_kind="debates.debate", address="192.0.2.7", detail={"row": "c"})
    note("run.cancelled", at=on(4), subject_kind="agents.run", detail={"row": "d", "place": "Zanzibar"})

    assert [row.detail["row"] for row in trail.rows(asked)] == found


def taken(form: trail.Form, **asked: Any) -> str:
    return b"".join(trail.export(Asked(**asked), form=form)).decode()


def test_csv_holds_every_column_of_every_row() -> None:
    row = note(at=on(1), address="192.0.2.7", detail={"name": 'say "so", twice'})

    head, *lines = csv.reader(StringIO(taken("csv", actor="alice")))

    assert head == list(trail.COLUMNS)
    assert lines == [
        [
            str(row.pk), "2026-03-01 23:59:59+00:00", "agent.changed", "", "alice", "agents.agent", "1", "192.0.2.7",
            '{"name":"say \\"so\\", twice"}',
        ]
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@SUM(A1)", "\tx"])
def test_csv_hands_no_formula_to_a_spreadsheet(name: str) -> None:
    note(actor_name=name)

    rows = list(csv.DictReader(StringIO(taken("csv", actor=name))))
    assert [row["actor_name"] for row in rows] == [f"'{name}"]


def test_json_lines_are_one_row_each() -> None:
    rows = [note(detail={"n": number}) for number in range(3)]

    said = [orjson.loads(line) for line in taken("jsonl", actor="alice").splitlines()]

    assert [(line["id"], line["detail"]) for line in said] == [(row.pk, row.detail) for row in reversed(rows)]


def test_export_is_streamed_and_recorded_before_its_first_row() -> None:
    AuditEvent.objects.bulk_create(AuditEvent(action="agent.changed") for _ in range(trail.AT_ONCE + 1))

    pieces = trail.export(Asked(action="agent"), form="csv", actor=make_admin())
    said = AuditEvent.objects.get(action="audit.exported")

    assert (said.actor_name, said.detail) == ("carol", {"form": "csv", "asked": {"action": "agent"}})
    assert sum(1 for _ in pieces) == 2


def test_search_costs_one_query_however_much_it_finds() -> None:
    for _ in range(5):
        note()

    with assertNumQueries(1):
        assert len(trail.rows(Asked(q="alice"))) == 5


def reader() -> User:
    dave = make_user("dave")
    dave.user_permissions.add(Permission.objects.get(codename="view_auditevent"))
    return dave


@pytest.mark.parametrize("who, status", [(make_admin, 200), (reader, 200), (make_user, 404)])
def test_page_is_for_who_may_read_the_trail(who: Callable[[], User], status: int) -> None:
    client = Client()
    client.force_login(who())
    note(detail={"place": "Zanzibar"})

    answers = [client.get("/audit/"), client.get("/api/audit"), client.post("/audit/export/", {"form": "csv"})]

    assert [answer.status_code for answer in answers] == [status] * 3
    assert (b"Zanzibar" in answers[0].content) == (status == 200)


def test_page_finds_turns_over_and_says_what_makes_no_sense(client: Client) -> None:
    client.force_login(make_admin())
    for number in range(101):
        note(detail={"row": f"row {number};"})

    first = client.get("/audit/?actor=alice")
    older = client.get(f"/audit/?actor=alice&before={first.context['rows'][-1]['event'].pk}")
    wrong = client.get("/audit/?since=yesterday&before=x")

    assert [len(answer.context["rows"]) for answer in (first, older)] == [100, 1]
    assert b"row 0;" in older.content
    assert b"Older ones" in first.content
    assert b"Older ones" not in older.content
    assert (wrong.status_code, b"Enter a valid date." in wrong.content) == (200, True)


def test_details_name_the_owner_who_is_kept_by_number(client: Client) -> None:
    alice, carol = make_user(), make_admin()
    client.force_login(carol)
    note(action="run.read", detail={"owner": alice.pk, "scopes": ["read", "chat"], "changes": []})
    gone = note(action="run.read", detail={"owner": 0})

    page = client.get("/audit/?action=run.read").content.decode()
    row = client.get(f"/admin/monitoring/auditevent/{gone.pk}/change/").content.decode()

    assert "owner: alice; scopes: read, chat; changes: –" in page
    assert ["owner: number 0, who is gone" in each for each in (page, row)] == [True, True]


def test_page_takes_out_what_is_shown(client: Client) -> None:
    client.force_login(make_admin())
    note(actor_name="alice")
    note(actor_name="bob")

    answer = client.post("/audit/export/", {"form": "jsonl", "actor": "bob"})
    said = [orjson.loads(line) for line in b"".join(answer.streaming_content).splitlines()]  # type: ignore[attr-defined]

    assert answer["Content-Disposition"].endswith('.jsonl"')
    assert [line["actor_name"] for line in said] == ["bob"]


def test_api_reads_and_takes_out_with_an_admins_key() -> None:
    carol = make_admin()
    _, key = keys.make(carol, name="auditor", scopes=["admin"])
    _, reads = keys.make(carol, name="reader", scopes=["read"])
    note()

    def ask(key: str, path: str) -> Any:
        return Client().get(path, headers={"authorization": f"Bearer {key}"})

    found = ask(key, "/api/audit?actor=alice").json()
    taken = b"".join(ask(key, "/api/audit/export?form=csv&actor=alice").streaming_content)

    assert [row["action"] for row in found["items"]] == ["agent.changed"]
    assert taken.count(b"\r\n") == 2
    assert ask(reads, "/api/audit").status_code == 403
    assert ask(key, "/api/audit?since=yesterday").status_code == 422
    assert AuditEvent.objects.get(action="audit.exported").detail["key"] == keys.find(key).prefix  # type: ignore[union-attr]


def test_what_is_done_with_a_key_names_the_key() -> None:
    alice = make_user()
    row, key = keys.make(alice, name="script", scopes=["chat"])
    run = make_run(owner=alice)

    Client().post(f"/api/runs/{run.pk}/cancel", headers={"authorization": f"Bearer {key}"})

    said = AuditEvent.objects.get(action="run.cancelled")
    assert (said.actor_name, said.detail) == ("alice", {"key": row.prefix})


def test_database_refuses_to_empty_the_trail() -> None:
    audit.record("account.changed", subject=make_agent())
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")

        with pytest.raises(ProgrammingError, match="append-only"), transaction.atomic():
            cursor.execute("TRUNCATE monitoring_auditevent")
    assert AuditEvent.objects.count() == 1


def test_role_of_the_operating_page_writes_the_trail_and_cannot_lift_what_keeps_it() -> None:
    page = (settings.BASE_DIR / "docs/operating.md").read_text()
    grants = [line.strip() for line in page.splitlines() if line.endswith(" lobby_app;")]
    tries = [
        "UPDATE monitoring_auditevent SET action = ''",
        "DELETE FROM monitoring_auditevent",
        "TRUNCATE monitoring_auditevent",
        "ALTER TABLE monitoring_auditevent DISABLE TRIGGER ALL",
        "DROP TRIGGER append_only ON monitoring_auditevent",
    ]
    with connection.cursor() as cursor:
        for statement in ("CREATE ROLE lobby_app", *grants, "SET LOCAL ROLE lobby_app"):
            cursor.execute(statement)
        note()
        for statement in tries:
            with pytest.raises(ProgrammingError, match=r"permission denied|must be owner"), transaction.atomic():
                cursor.execute(statement)
        assert AuditEvent.objects.count() == 1
        cursor.execute("RESET ROLE")
    assert len(grants) == 3
