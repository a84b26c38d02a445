"""Keys, invitations and limits in the admin."""

import html
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission
from django.contrib.messages import get_messages
from django.test import Client
from django.utils import timezone

from lobby.accounts import invitations, keys
from lobby.accounts.models import ApiKey, Invitation, Limit
from monitoring.models import AuditEvent
from tests.factories import make_admin, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def carol(client: Client) -> Client:
    client.force_login(make_admin())
    return client


def act(client: Client, model: str, action: str, *rows: Any) -> Any:
    chosen = {"action": action, "_selected_action": [str(row.pk) for row in rows]}
    return client.post(f"/admin/accounts/{model}/", chosen)


def said(answer: Any) -> list[str]:
    return [str(message) for message in get_messages(answer.wsgi_request)]


def test_key_is_listed_without_the_key_and_revoked(carol: Client) -> None:
    row, key = keys.make(make_user(), name="script", scopes=["chat"])
    pages = [carol.get(f"/admin/accounts/apikey/{path}") for path in ("", f"{row.pk}/change/")]

    assert [page.status_code for page in pages] == [200, 200]
    assert all(key not in page.content.decode() and row.digest not in page.content.decode() for page in pages)
    assert said(act(carol, "apikey", "revoke", row)) == ["Revoked: 1. They open nothing any more."]
    assert keys.find(key) is None
    assert AuditEvent.objects.get(action="apikey.revoked").subject_id == str(row.pk)


def test_who_may_only_look_revokes_nothing(client: Client) -> None:
    row, key = keys.make(make_user(), name="script", scopes=["chat"])
    dave = make_user("dave", is_staff=True)
    dave.user_permissions.add(Permission.objects.get(codename="view_apikey"))
    client.force_login(dave)

    act(client, "apikey", "revoke", row)

    assert keys.find(key) == row


@pytest.mark.parametrize("path", ["add/", "{}/delete/"])
def test_key_is_neither_made_nor_deleted_here(carol: Client, path: str) -> None:
    row, _ = keys.make(make_user(), name="script", scopes=["chat"])
    assert carol.get(f"/admin/accounts/apikey/{path.format(row.pk)}").status_code == 403
    assert ApiKey.objects.count() == 1


def test_invitation_is_made_and_its_link_shown_once(carol: Client) -> None:
    group = Group.objects.create(name="Writers")
    form = {"email": "ann@example.org", "groups": [str(group.pk)], "days": "3"}
    answer = carol.post("/admin/accounts/invitation/add/", form)

    row = Invitation.objects.get()
    shown = next(message for message in said(answer) if "not shown again" in message)
    token = shown.rstrip("/").rpartition("/")[2]
    assert invitations.find(token) == row
    assert "http://testserver/sign-up/" in shown
    assert (row.email, list(row.groups.all()), row.invited_by) == ("ann@example.org", [group], answer.wsgi_request.user)
    assert timedelta(days=2) < row.expires_at - timezone.now() <= timedelta(days=3)
    assert AuditEvent.objects.filter(action="invitation.added", subject_id=str(row.pk)).count() == 1
    pages = [carol.get(f"/admin/accounts/invitation/{row.pk}/change/").content.decode() for _ in range(2)]
    assert [token in page for page in pages] == [True, False]


@pytest.mark.parametrize("field, wrong", [("email", "ann"), ("days", "0"), ("days", "366"), ("days", "")])
def test_invitation_with_nonsense_is_refused(carol: Client, field: str, wrong: str) -> None:
    answer = carol.post("/admin/accounts/invitation/add/", {"email": "", "days": "7"} | {field: wrong})
    assert list(answer.context["adminform"].errors) == [field]
    assert Invitation.objects.count() == 0


def test_invitation_is_taken_back_once(carol: Client) -> None:
    token = invitations.invite(make_user())[1].rstrip("/").rpartition("/")[2]
    row = Invitation.objects.get()

    assert said(act(carol, "invitation", "revoke", row)) == ["Taken back: 1. Used or over already: 0."]
    assert invitations.find(token) is None
    assert said(act(carol, "invitation", "revoke", row))[-1] == "Taken back: 0. Used or over already: 1."
    assert AuditEvent.objects.filter(action="invitation.revoked").count() == 1


@pytest.mark.parametrize(
    "wrong, words",
    [
        ({"value": "-1"}, "A limit is 0 or more; leave it empty for no limit."),
        ({"scope": "user"}, "Name a user for a limit of one user"),
    ],
)
def test_limit_that_makes_no_sense_is_refused_with_words(carol: Client, wrong: dict[str, str], words: str) -> None:
    form = {"kind": "runs_per_hour", "scope": "each", "value": "5"}
    answer = carol.post("/admin/accounts/limit/add/", form | wrong)
    assert words in answer.content.decode()
    assert Limit.objects.count() == 0
    carol.post("/admin/accounts/limit/add/", form)
    assert Limit.objects.get().value == 5


def test_limit_forgets_whom_its_scope_does_not_name(carol: Client) -> None:
    alice, group = make_user(), Group.objects.create(name="Writers")
    form = {"kind": "tokens_per_day", "scope": "user", "user": str(alice.pk), "group": str(group.pk), "value": "5"}

    answer = carol.get("/admin/accounts/limit/add/").content.decode()
    carol.post("/admin/accounts/limit/add/", form)

    assert [f"x-show=\"scope == '{name}'\"" in html.unescape(answer) for name in ("user", "group")] == [True, True]
    limit = Limit.objects.get()
    assert (limit.scope, limit.user, limit.group) == ("user", alice, None)
