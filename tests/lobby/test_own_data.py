"""One's own data: all of it is handed out, and all of it goes with the account."""

import json
from collections.abc import Iterator
from datetime import timedelta
from io import BytesIO
from typing import Any, cast
from uuid import uuid4
from zipfile import ZipFile

import pytest
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount
from django.apps import apps
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import Group, Permission, User
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session
from django.db.models import CASCADE, Model
from django.test import Client
from django.utils import timezone

from agents.models import Pull, Run
from chat.models import Conversation, Message
from debates.models import Debate
from lobby import audit
from lobby.accounts import keys
from lobby.accounts.models import ApiKey, Invitation, Limit, Use, UserSession
from lobby.accounts.own_data import EXPORTS_PER_USER, PARTS, TooManyExports, export
from lobby.accounts.removal import LastAdmin, remove, shut
from lobby.live import streams
from lobby.live.connections import sync_redis
from monitoring.models import Alert, AlertRule, AuditEvent
from tests.debates.rows import make_claim, make_debate
from tests.factories import (
    make_admin,
    make_agent,
    make_conversation,
    make_host,
    make_message,
    make_run,
    make_user,
)

pytestmark = pytest.mark.django_db

# Every model with a column that names a person, and the file that its rows stand in.
FILES = {
    "admin.LogEntry": "account/done_in_the_admin.json",
    "auth.User_groups": "account/profile.json",
    "auth.User_user_permissions": "account/profile.json",
    "account.EmailAddress": "account/email_addresses.json",
    "mfa.Authenticator": "account/second_factors.json",
    "socialaccount.SocialAccount": "account/single_sign_on.json",
    "accounts.ApiKey": "account/keys.json",
    "accounts.Invitation": "account/invitations.json",
    "accounts.Limit": "account/limits.json",
    "accounts.Use": "account/use.json",
    "accounts.UserSession": "account/sessions.json",
    "agents.Pull": "models_fetched.json",
    "agents.Run": "runs.json",
    "chat.Conversation": "conversations/",
    "debates.Debate": "debates/",
    "monitoring.Alert": "alerts_acknowledged.json",
    "monitoring.AuditEvent": "audit.json",
}
STAYS = {"monitoring.AuditEvent"}


def columns_of_people() -> Iterator[tuple[type[Model], Any]]:
    for model in apps.get_models(include_auto_created=True):
        for field in model._meta.get_fields():
            if not field.auto_created and field.many_to_one and field.related_model is User:
                yield model, field
        if model._meta.auto_created:
            yield from ((model, field) for field in model._meta.fields if field.related_model is User)


def models_of_people() -> set[type[Model]]:
    """Those whose rows go with a user's, directly or by what they hang on."""
    found: set[type[Model]] = {User}
    while more := {model for model in apps.get_models() if model not in found and hangs_on(model, found)}:
        found |= more
    return found - {User}


def hangs_on(model: type[Model], others: set[type[Model]]) -> bool:
    return any(
        field.related_model in others and field.remote_field and field.remote_field.on_delete is CASCADE
        for field in model._meta.concrete_fields
        if not field.null or model is Limit
    )


@pytest.fixture
def alice(db: None) -> User:
    """She has a row of every kind."""
    make_admin("carol")
    alice = make_user("alice", email="alice@example.org")
    group = Group.objects.create(name="Choir")
    alice.groups.add(group)
    alice.user_permissions.add(Permission.objects.get(codename="add_group"))
    live_in(alice)
    work_as(alice)
    return alice


def live_in(alice: User) -> None:
    keys.make(alice, name="A script", scopes=["read"])
    Limit.objects.create(kind=Limit.Kind.RUNS_AT_ONCE, scope=Limit.Scope.USER, user=alice, value=3)
    Use.objects.create(user=alice, day=timezone.now(), tokens=7)
    soon = timezone.now() + timedelta(days=1)
    Invitation.objects.create(email="bob@example.org", digest="1" * 64, invited_by=alice, expires_at=soon)
    session = SessionStore()
    session.create()
    UserSession.objects.create(key=session.session_key or "", user=alice, browser="Firefox", seen_at=timezone.now())
    EmailAddress.objects.create(user=alice, email="alice@example.org", primary=True)
    Authenticator.objects.create(user=alice, type=Authenticator.Type.TOTP, data={"secret": "opens-a-door"})
    SocialAccount.objects.create(user=alice, provider="openid_connect", uid="alice-there")
    LogEntry.objects.create(user=alice, action_flag=CHANGE, object_repr="Agent 1")
    audit.record("session.signed_in", actor=alice)
    audit.record("user.changed", subject=alice)


def work_as(alice: User) -> None:
    host, agent = make_host(), make_agent("analyst", name="Analyst")
    conversation = make_conversation(owner=alice, agent=agent, title="Of rust")
    question = make_message(conversation, text="What is rust?")
    for text in ("Iron that aged.", "A language."):
        make_message(conversation, parent=question, role=Message.Role.ASSISTANT, text=text)
    make_conversation(owner=alice, agent=agent, title="In the bin", deleted_at=timezone.now())
    make_run(owner=alice, agent=agent, topic=conversation.topic, text="Iron")
    debate = make_debate(votes=["AAB"], owner=alice, question="Does it rust?")
    ballot = debate.rounds.get(number=0).ballots.all()[0]
    ballot.probes.create(shift=0, letters={"A": "A"})
    make_claim(debate.rounds.get(number=0), debate.seats.all()[0])
    debate.injections.create(kind="evidence", text="It rained.")
    Pull.objects.create(host=host, model="smollm2:135m", asked_by=alice)
    rule = AlertRule.objects.create(name="Aged", metric="queue_runs", bound=1)
    Alert.objects.create(rule=rule, value=2, acknowledged_by=alice)


def files_of(user: User) -> dict[str, str]:
    target = BytesIO()
    export(user, target)
    with ZipFile(target) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name).decode() for name in archive.namelist()}


def test_every_model_that_names_a_person_has_its_file() -> None:
    assert {model._meta.label for model, _ in columns_of_people()} == set(FILES)


def test_export_holds_the_rows_of_every_model_that_names_a_person(alice: User) -> None:
    files = files_of(alice)

    for model, field in columns_of_people():
        ids = set(model._base_manager.filter(**{field.name: alice}).values_list("pk", flat=True))
        if field.name != "used_by":
            assert ids, f"{model._meta.label}: the test makes no row"
        if model._meta.auto_created:
            continue
        name = FILES[model._meta.label]
        told = {row["id"] for path, text in files.items() if path.startswith(name) for row in rows_in(path, text)}
        assert {str(id) for id in ids} <= {str(id) for id in told}, name


def rows_in(path: str, text: str) -> list[dict[str, Any]]:
    said = json.loads(text) if path.endswith(".json") else []
    return said if isinstance(said, list) else [said]


def test_export_tells_the_profile_with_groups_and_permissions(alice: User) -> None:
    said = json.loads(files_of(alice)["account/profile.json"])

    assert (said["username"], said["email"]) == ("alice", "alice@example.org")
    assert (said["groups"], said["permissions"]) == (["Choir"], ["add_group"])


def test_export_holds_all_branches_and_what_is_in_the_bin(alice: User) -> None:
    files = files_of(alice)
    names = [name for name in files if name.startswith("conversations/")]
    shown = Conversation.objects.get(title="Of rust")
    [text] = [files[name] for name in names if str(shown.pk)[:8] in name and name.endswith(".json")]

    assert sorted(name.rsplit(".", 1)[1] for name in names) == ["json", "json", "md", "md"]
    said = json.loads(text)
    assert [message["text"] for message in said["messages"]] == ["What is rust?", "Iron that aged.", "A language."]
    assert [message["parent_id"] for message in said["messages"]] == [
        None,
        said["messages"][0]["id"],
        said["messages"][0]["id"],
    ]


def test_markdown_reads_as_the_branch_that_was_shown_and_then_the_others(alice: User) -> None:
    files = files_of(alice)
    [text] = [files[name] for name in files if "of-rust" in name and name.endswith(".md")]

    parts = [line for line in text.splitlines() if line and not line.startswith("## ")]
    assert parts == ["# Of rust", "What is rust?", "A language.", "# On other branches", "Iron that aged."]


def test_export_opens_no_door(alice: User) -> None:
    _, key = keys.make(alice, name="Another", scopes=["read"])
    [digest, *_] = ApiKey.objects.values_list("digest", flat=True)
    text = "".join(files_of(alice).values())

    for secret in (key, digest, "opens-a-door", UserSession.objects.get().key, alice.password):
        assert secret not in text


def test_export_holds_nothing_of_others(alice: User) -> None:
    bob = make_user("bob")
    make_message(make_conversation(owner=bob, title="Zanzibar"), text="Zanzibar")
    make_debate(votes=["AAB"], owner=bob, question="Zanzibar?")
    audit.record("session.signed_in", actor=bob, place="Zanzibar")

    assert "Zanzibar" not in "".join(files_of(alice).values())


def test_export_is_recorded_and_limited(alice: User) -> None:
    for _ in range(EXPORTS_PER_USER.amount):
        export(alice, BytesIO())

    with pytest.raises(TooManyExports, match="6 exports an hour are the limit"):
        export(alice, BytesIO())
    assert AuditEvent.objects.filter(action="account.exported", actor_name="alice").count() == EXPORTS_PER_USER.amount


def test_the_test_makes_a_row_of_every_model_that_goes_with_a_person(alice: User) -> None:
    empty = {model._meta.label for model in models_of_people() if not model._base_manager.exists()}

    assert empty == {"account.EmailConfirmation", "socialaccount.SocialToken"}  # of rows that go by themselves


def test_nothing_of_a_person_survives_the_deletion_of_the_account(alice: User) -> None:
    owned = models_of_people()
    key = alice.pk

    remove(alice)

    left = {model._meta.label for model in owned if model._base_manager.exists()}
    named = {
        model._meta.label for model, field in columns_of_people() if model._base_manager.filter(**{field.name: key})
    }
    assert not User.objects.filter(pk=key).exists()
    assert left == set()
    assert named == STAYS
    assert not Session.objects.exists()
    # What is not hers alone stays, and names her no more
    assert [Pull.objects.count(), Invitation.objects.count(), Alert.objects.count()] == [1, 1, 1]


def test_nothing_of_others_goes_with_it(alice: User) -> None:
    bob = make_user("bob")
    make_message(make_conversation(owner=bob))
    make_debate(votes=["AAB"], owner=bob)
    make_run(owner=bob)
    keys.make(bob, name="bob's", scopes=["read"])

    remove(alice)

    assert [bob.conversations.count(), bob.debates.count(), bob.runs.count(), bob.api_keys.count()] == [1, 1, 1, 1]
    assert Message.objects.count() == 1


def test_audit_trail_keeps_name_and_number(alice: User) -> None:
    carol = User.objects.get(username="carol")
    key = alice.pk

    remove(alice, by=carol)

    said = AuditEvent.objects.get(action="account.deleted")
    assert (said.actor_name, said.subject_id, said.detail) == ("carol", str(key), {"name": "alice"})
    assert AuditEvent.objects.filter(action="session.signed_in").values_list("actor_id", "actor_name").get() == (
        key,
        "alice",
    )


def test_what_runs_is_stopped_before_it_goes(alice: User) -> None:
    """A run that a worker has is told to stop; one without a row could not be."""
    running = make_run(owner=alice, status=Run.Status.RUNNING, worker=uuid4())
    debate = make_debate(votes=["AAB"], owner=alice, status="running", silent=["devils-advocate"])

    for part in reversed(PARTS.values()):
        part.stop(alice)

    running.refresh_from_db()
    debate.refresh_from_db()
    assert running.cancel_requested_at is not None
    assert debate.status == Debate.Status.ENDED
    assert not Run.objects.filter(owner=alice, status=Run.Status.QUEUED).exists()


@pytest.mark.django_db(transaction=True)
def test_live_streams_and_sockets_go_too() -> None:
    make_admin("carol")
    alice = make_user("alice")
    conversation = make_conversation(owner=alice)
    streams.publish(conversation.topic, {"type": "run.delta", "text": "Zanzibar"})
    key = alice.pk

    remove(alice)

    assert not sync_redis().exists(streams.key(conversation.topic))
    [(_, ended), *_] = cast(Any, sync_redis().xrange(streams.key(f"user:{key}")))
    assert b"session.ended" in ended[streams.FIELD]


def test_last_admin_cannot_go() -> None:
    carol = make_admin("carol")
    make_admin("erin", is_active=False)

    with pytest.raises(LastAdmin, match="Make somebody else an admin first"):
        remove(carol)

    carol.refresh_from_db()
    assert carol.is_active
    make_admin("dave")
    remove(carol)
    assert [user.username for user in User.objects.filter(is_active=True)] == ["dave"]


def test_account_that_was_only_switched_off_can_be_deleted_again(alice: User) -> None:
    shut(alice)
    remove(User.objects.get(pk=alice.pk))

    assert not User.objects.filter(username="alice").exists()


def test_admin_deletes_an_account_with_all_that_is_in_it(alice: User, client: Client) -> None:
    client.force_login(User.objects.get(username="carol"))
    path = f"/admin/auth/user/{alice.pk}/delete/"

    asked = client.get(path)
    client.post(path, {"post": "yes"})

    assert "alice and all that is theirs" in asked.content.decode()
    assert not User.objects.filter(username="alice").exists()
    assert AuditEvent.objects.get(action="account.deleted").actor_name == "carol"


def test_admin_cannot_delete_all_admins_at_once(client: Client) -> None:
    carol, erin = make_admin("carol"), make_admin("erin")
    client.force_login(carol)
    chosen = {"action": "delete_selected", "_selected_action": [carol.pk, erin.pk], "post": "yes"}

    asked = client.post("/admin/auth/user/", chosen)

    assert "Make somebody else an admin first" in asked.content.decode()
    assert User.objects.filter(is_superuser=True).count() == 2


def test_group_of_everybody_can_neither_be_deleted_nor_renamed(client: Client) -> None:
    client.force_login(make_admin("carol"))
    path = f"/admin/auth/group/{Group.objects.get(name='Everybody').pk}/"
    limits = {"limits-TOTAL_FORMS": 0, "limits-INITIAL_FORMS": 0}

    deleted = client.post(f"{path}delete/", {"post": "yes"})
    client.post(f"{path}change/", {"name": "Nobody", "permissions": [], **limits})

    assert deleted.status_code == 403
    assert Group.objects.filter(name="Everybody").exists()
