"""The pages of one's own account: who I am, keys, my data, leaving."""

import re
from datetime import timedelta
from io import BytesIO
from typing import Any
from zipfile import ZipFile

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from lobby.accounts import keys
from lobby.accounts.models import ApiKey
from lobby.accounts.own_data import EXPORTS_PER_USER
from monitoring.models import AuditEvent
from tests.factories import PASSWORD, make_admin, make_conversation, make_message, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def alice(db: None) -> User:
    make_admin("carol")
    return make_user("alice")


@pytest.fixture
def client(alice: User) -> Client:
    client = Client()
    client.force_login(alice)
    return client


def make(user: User, **asked: Any) -> tuple[ApiKey, str]:
    return keys.make(user, **{"name": "script", "scopes": ["read"]} | asked)


def shown_key(answer: Any) -> str:
    [key] = re.findall(r"lob_[0-9A-Za-z]{57}", answer.content.decode())
    return str(key)


def test_account_says_who_one_is_and_what_one_may(client: Client) -> None:
    text = client.get("/account/").content.decode()

    assert "alice" in text
    assert "You may ask agents, start debates." in text


def test_key_is_made_and_shown_once(client: Client, alice: User) -> None:
    made = client.post("/account/keys/", {"name": "Backup", "scopes": ["read", "chat"], "days": "30"})
    row = ApiKey.objects.get()

    assert (made.status_code, row.scopes, keys.find(shown_key(made))) == (200, ["read", "chat"], row)
    assert timedelta(days=29) < row.expires_at - timezone.now() < timedelta(days=31)  # type: ignore[operator]
    assert shown_key(made) not in client.get("/account/keys/").content.decode()


def test_key_for_ever(client: Client) -> None:
    client.post("/account/keys/", {"name": "Backup", "scopes": ["read"], "days": ""})

    assert ApiKey.objects.get().expires_at is None


@pytest.mark.parametrize(
    "wrong, words",
    [
        ({"name": ""}, "This field is required."),
        ({"scopes": []}, "This field is required."),
        ({"scopes": ["root"]}, "Select a valid choice."),
        ({"days": "-1"}, "Select a valid choice."),
    ],
)
def test_key_that_makes_no_sense_is_refused_with_words(client: Client, wrong: dict[str, Any], words: str) -> None:
    answer = client.post("/account/keys/", {"name": "Backup", "scopes": ["read"], "days": "30"} | wrong)

    assert answer.status_code == 422
    assert words in answer.content.decode()
    assert ApiKey.objects.count() == 0


def test_one_key_too_many_is_refused_with_words(client: Client, alice: User) -> None:
    for _ in range(keys.MOST_KEYS):
        make(alice)

    answer = client.post("/account/keys/", {"name": "Backup", "scopes": ["read"], "days": "30"})

    assert answer.status_code == 422
    assert "You have 25 keys, the limit." in answer.content.decode()


def test_key_is_rotated_and_revoked_by_its_owner(client: Client, alice: User) -> None:
    row, old = make(alice)

    rotated = client.post(f"/account/keys/{row.pk}/rotate/")
    revoked = client.post(f"/account/keys/{row.pk}/revoke/", follow=True)
    again = client.post(f"/account/keys/{row.pk}/rotate/", follow=True)

    assert keys.find(shown_key(rotated)) is not None
    assert keys.find(old) is None
    assert "it opens nothing any more" in revoked.content.decode()
    assert "This key does not work any more." in again.content.decode()


def test_key_of_another_is_not_there(alice: User) -> None:
    row, _ = make(alice)
    client = Client()
    client.force_login(make_user("bob"))

    answers = [client.post(f"/account/keys/{row.pk}/{what}/").status_code for what in ("rotate", "revoke")]

    assert (answers, keys.works(row.pk)) == ([404, 404], True)


def archive(answer: Any) -> list[str]:
    return ZipFile(BytesIO(b"".join(answer.streaming_content))).namelist()


def test_archive_is_handed_out(client: Client, alice: User) -> None:
    make_message(make_conversation(owner=alice, title="Of rust"), text="What is rust?")

    answer = client.post("/account/data/")

    assert answer["Content-Disposition"].startswith('attachment; filename="agent-lobby-alice-')
    assert {name.split("/")[0] for name in archive(answer)} >= {"account", "conversations", "runs.json", "audit.json"}


def test_archive_by_the_api_takes_a_key_that_reads(alice: User) -> None:
    _, reads = make(alice)
    _, chats = make(alice, scopes=["chat"])

    given, refused = (
        Client().get("/api/me/export", headers={"authorization": f"Bearer {key}"}) for key in (reads, chats)
    )

    assert (given.status_code, given["Content-Type"], refused.status_code) == (200, "application/zip", 403)
    assert "account/profile.json" in archive(given)


def test_one_archive_too_many_is_refused_with_words(client: Client) -> None:
    for _ in range(EXPORTS_PER_USER.amount):
        archive(client.post("/account/data/"))

    page = client.post("/account/data/", follow=True)
    api = client.get("/api/me/export")

    assert "6 exports an hour are the limit." in page.content.decode()
    assert (api.status_code, int(api["Retry-After"]) > 0) == (429, True)


def test_deletion_says_what_will_go_and_offers_the_archive(client: Client, alice: User) -> None:
    make_conversation(owner=alice)

    text = client.get("/account/delete/").content.decode()

    assert "1, with all their messages" in text
    assert 'action="/account/data/"' in text


def test_account_is_deleted_with_the_password(client: Client, alice: User) -> None:
    make_conversation(owner=alice)

    wrong = client.post("/account/delete/", {"password": "not it"})
    still_there = User.objects.filter(username="alice").exists()
    right = client.post("/account/delete/", {"password": PASSWORD})

    assert (wrong.status_code, still_there) == (422, True)
    assert "Your account is gone" in right.content.decode()
    assert not User.objects.filter(username="alice").exists()
    assert client.get("/account/").status_code == 302
    assert AuditEvent.objects.get(action="account.deleted").actor_name == "alice"


def test_last_admin_is_told_why_he_cannot_go() -> None:
    carol = make_admin("erin")
    client = Client()
    client.force_login(carol)

    answer = client.post("/account/delete/", {"password": PASSWORD})

    assert answer.status_code == 422
    assert "Make somebody else an admin first" in answer.content.decode()
    assert User.objects.get().is_active


def test_who_has_no_password_shows_it_by_a_fresh_sign_in(client: Client, alice: User) -> None:
    alice.set_unusable_password()
    alice.save()
    client.force_login(alice)
    User.objects.filter(pk=alice.pk).update(last_login=timezone.now() - timedelta(minutes=11))

    stale = client.post("/account/delete/", {"sure": "yes"})
    still_there = User.objects.filter(username="alice").exists()
    User.objects.filter(pk=alice.pk).update(last_login=timezone.now())
    client.post("/account/delete/", {"sure": "yes"})

    assert "sign out, sign in again" in stale.content.decode()
    assert still_there
    assert not User.objects.filter(username="alice").exists()
