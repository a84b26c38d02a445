"""What docs/security.md says is recorded, is: one test for each, through the way people do it."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client

from agents.models import Agent, Host, Run
from lobby.accounts import keys
from monitoring.models import AuditEvent
from tests.debates.rows import make_debate
from tests.factories import PASSWORD, make_admin, make_agent, make_conversation, make_host, make_run, make_user

pytestmark = pytest.mark.django_db


def sign_in(client: Client, password: str = PASSWORD) -> None:
    client.post("/sign-in/", {"username": "carol", "password": password})


def fields_of(client: Client, path: str) -> dict[str, Any]:
    """The form of a page of the admin, as a browser would send it back."""
    form = client.get(path).context["adminform"].form
    values = {name: form.get_initial_for_field(field, name) for name, field in form.fields.items()}
    return {name: value for name, value in values.items() if value not in (None, False)}


def change(client: Client, path: str, **changes: Any) -> None:
    answer = client.post(path, {**fields_of(client, path), **changes})
    assert answer.status_code == 302, answer.context["errors"]


def signs_in(client: Client) -> None:
    client.logout()
    sign_in(client)


def is_refused(client: Client) -> None:
    client.logout()
    sign_in(client, password="wrong")


def signs_out(client: Client) -> None:
    client.post("/sign-out/")


def makes_a_key(client: Client) -> None:
    client.post("/account/keys/", {"name": "A script", "scopes": ["read"], "days": "30"})


def rotates_a_key(client: Client) -> None:
    row, _ = keys.make(User.objects.get(username="carol"), name="A script", scopes=["read"])
    client.post(f"/account/keys/{row.pk}/rotate/")


def revokes_a_key(client: Client) -> None:
    row, _ = keys.make(User.objects.get(username="carol"), name="A script", scopes=["read"])
    client.post(f"/account/keys/{row.pk}/revoke/")


def changes_an_agent(client: Client) -> None:
    agent = Agent.objects.get()
    path = f"/admin/agents/agent/{agent.pk}/change/"
    client.post(path, {**fields_of(client, path), "name": "Renamed", "options": "{}", "capabilities": "[]"})


def deletes_an_agent(client: Client) -> None:
    client.post(f"/admin/agents/agent/{Agent.objects.get().pk}/delete/", {"post": "yes"})


def changes_a_group(client: Client) -> None:
    group = Group.objects.get(name="Everybody")
    limits = {"limits-TOTAL_FORMS": 0, "limits-INITIAL_FORMS": 0}
    client.post(f"/admin/auth/group/{group.pk}/change/", {"permissions": [], **limits})


def reads_a_conversation(client: Client) -> None:
    conversation = make_conversation(owner=make_user("alice"))
    client.get(f"/admin/chat/conversation/{conversation.pk}/change/")


def reads_a_debate(client: Client) -> None:
    debate = make_debate(votes=["AAB"], owner=make_user("alice"))
    client.get(f"/admin/debates/debate/{debate.pk}/change/")


def cancels_a_run(client: Client) -> None:
    run = make_run(owner=User.objects.get(username="carol"))
    client.post(f"/api/runs/{run.pk}/cancel")


def cancels_anothers_run(client: Client) -> None:
    run = make_run(owner=make_user("alice"), status=Run.Status.QUEUED)
    client.post("/admin/agents/run/", {"action": "cancel", "_selected_action": [str(run.pk)]})


def own_debate(**fields: Any) -> Any:
    return make_debate(votes=["AAB"], owner=User.objects.get(username="carol"), **fields)


def stops_a_debate(client: Client) -> None:
    debate = own_debate(status="running", silent=["devils-advocate"])
    client.post(f"/api/debates/{debate.pk}/stop")


def takes_a_debate_out(client: Client) -> None:
    client.get(f"/api/debates/{own_debate().pk}/export")


def takes_the_own_data_out(client: Client) -> None:
    b"".join(client.post("/account/data/").streaming_content)  # type: ignore[attr-defined]


def takes_the_trail_out(client: Client) -> None:
    b"".join(client.post("/audit/export/").streaming_content)  # type: ignore[attr-defined]


def deletes_a_debate(client: Client) -> None:
    client.delete(f"/api/debates/{own_debate().pk}")


def deletes_a_conversation(client: Client) -> None:
    conversation = make_conversation(owner=User.objects.get(username="carol"))
    client.delete(f"/api/conversations/{conversation.pk}")


def deletes_the_own_account(client: Client) -> None:
    make_admin("erin")
    client.post("/account/delete/", {"password": PASSWORD})


def deletes_an_account(client: Client) -> None:
    bob = make_user("bob")
    client.post(f"/admin/auth/user/{bob.pk}/delete/", {"post": "yes"})


RECORDED: dict[str, Callable[[Client], None]] = {
    "session.signed_in": signs_in,
    "session.refused": is_refused,
    "session.signed_out": signs_out,
    "apikey.made": makes_a_key,
    "apikey.rotated": rotates_a_key,
    "apikey.revoked": revokes_a_key,
    "agent.changed": changes_an_agent,
    "agent.deleted": deletes_an_agent,
    "group.changed": changes_a_group,
    "conversation.read": reads_a_conversation,
    "debate.read": reads_a_debate,
    "run.cancelled": cancels_a_run,
    "run.cancelled by an admin": cancels_anothers_run,
    "debate.stopped": stops_a_debate,
    "debate.exported": takes_a_debate_out,
    "account.exported": takes_the_own_data_out,
    "audit.exported": takes_the_trail_out,
    "debate.deleted": deletes_a_debate,
    "conversation.deleted": deletes_a_conversation,
    "account.deleted": deletes_the_own_account,
    "account.deleted by an admin": deletes_an_account,
}


@pytest.mark.parametrize("what", RECORDED)
def test_is_recorded_with_the_name_of_who_did_it(client: Client, what: str) -> None:
    make_host()
    make_agent("analyst", name="Analyst")
    client.force_login(make_admin("carol"))
    action = what.split()[0]
    before = AuditEvent.objects.filter(action=action).count()

    RECORDED[what](client)

    rows = AuditEvent.objects.filter(action=action).order_by("id")[before:]
    who = "" if action == "session.refused" else "carol"
    assert [row.actor_name for row in rows] == [who]


def test_refused_guess_at_a_name_that_is_nobodys_keeps_no_name(client: Client) -> None:
    client.post("/sign-in/", {"username": f"nobody-{uuid4()}", "password": PASSWORD})

    row = AuditEvent.objects.get(action="session.refused")
    assert (row.actor_name, row.subject_id, row.detail) == ("", "", {})


def test_host_is_told_apart_from_an_agent(client: Client) -> None:
    make_host()
    client.force_login(make_admin("carol"))

    client.post(f"/admin/agents/host/{Host.objects.get().pk}/delete/", {"post": "yes"})

    assert AuditEvent.objects.get(action="host.deleted").subject_kind == "agents.host"
