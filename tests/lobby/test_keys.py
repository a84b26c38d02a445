"""API keys: made once, recognised in constant shape, scoped, expiring, rotated, revoked."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import orjson
import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone
from pytest_django.asserts import assertNumQueries

from lobby.accounts import keys
from lobby.accounts.attempts import WRONG_KEYS_PER_ADDRESS
from lobby.accounts.bearer import SCOPES_OF, noun_of
from lobby.accounts.keys import SCOPES, BadKeyRequest
from lobby.accounts.models import ApiKey
from lobby.api import api
from monitoring.models import AuditEvent
from tests.factories import make_conversation, make_user
from tests.jsonapi import Api

pytestmark = pytest.mark.django_db

WRONG = {"detail": "This key is not valid, or not any more.", "kind": "wrong_key", "status": 401}


@pytest.fixture
def alice(db: None) -> User:
    return make_user("alice")


def make(user: User, **asked: Any) -> tuple[ApiKey, str]:
    return keys.make(user, **{"name": "script", "scopes": ["read"]} | asked)


def ask(key: str, path: str = "/api/conversations", *, method: str = "GET", client: Client | None = None) -> Any:
    client = client or Client(enforce_csrf_checks=True)
    return client.generic(method, path, headers={"authorization": f"Bearer {key}"}, content_type="application/json")


def refused_as_wrong(answer: Any) -> bool:
    said = orjson.loads(answer.content)
    return {name: said[name] for name in WRONG} == WRONG and answer["WWW-Authenticate"] == "Bearer"


def outdate(row: ApiKey, **fields: timedelta) -> None:
    ApiKey.objects.filter(pk=row.pk).update(**{name: timezone.now() - ago for name, ago in fields.items()})


def test_key_has_its_prefix_32_random_bytes_and_a_checksum(alice: User) -> None:
    row, key = make(alice)

    assert (key[:4], key[4:12], len(key)) == ("lob_", row.prefix, 4 + 8 + 43 + 6)
    assert key[4:].isalnum()
    assert keys._checksum(key[:-6]) == key[-6:]


def test_nothing_that_is_kept_or_recorded_holds_the_key(alice: User) -> None:
    row, key = make(alice)

    kept = str(ApiKey.objects.values().get()) + str(list(AuditEvent.objects.values()))
    assert key not in kept
    assert key[12:30] not in kept
    assert len(row.digest) == 64


def test_two_keys_have_nothing_in_common(alice: User) -> None:
    (_, one), (_, other) = make(alice), make(alice)

    assert sum(a == b for a, b in zip(one[4:], other[4:], strict=True)) < 12


def test_key_reads_what_its_user_may_read_and_needs_no_csrf_token(alice: User) -> None:
    conversation = make_conversation(owner=alice)
    _, key = make(alice, scopes=["read", "chat"])

    read = ask(key, f"/api/conversations/{conversation.pk}")
    deleted = ask(key, f"/api/conversations/{conversation.pk}", method="DELETE")

    assert (read.status_code, read.json()["id"], deleted.status_code) == (200, str(conversation.pk), 204)


def test_session_still_needs_the_csrf_token(alice: User) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(alice)
    conversation = make_conversation(owner=alice)

    answer = client.delete(f"/api/conversations/{conversation.pk}")

    assert (answer.status_code, answer.json()["kind"]) == (403, "csrf")


def test_cookies_are_not_looked_at_where_a_key_is(alice: User) -> None:
    client = Client()
    client.force_login(alice)
    bob = make_user("bob")
    make_conversation(owner=alice)
    _, key = make(bob)

    of_bob = ask(key, client=client)
    wrong = ask("lob_wrong", client=client)

    assert (of_bob.status_code, of_bob.json()["items"]) == (200, [])
    assert refused_as_wrong(wrong)


def broken(key: str) -> dict[str, str]:
    other = "A" if key[20] != "A" else "B"
    forged = key[:20] + other + key[21:-6]
    return {
        "empty": "",
        "no key": "hello",
        "mistyped": key[:20] + other + key[21:],
        "forged with a right checksum": forged + keys._checksum(forged),
        "unknown prefix": "lob_" + "0" * 51 + keys._checksum("lob_" + "0" * 51),
        "followed by something": key + "x",
        "not ASCII": key[:-1] + "é",
        "NUL": key[:-1] + "\0",
        "very long": key * 100,
    }


@pytest.mark.parametrize("what", broken("lob_" + "0" * 57))
def test_wrong_keys_are_refused_alike(alice: User, what: str) -> None:
    _, key = make(alice)

    assert refused_as_wrong(ask(broken(key)[what]))


def test_expired_revoked_and_orphaned_keys_are_refused_like_wrong_ones(alice: User) -> None:
    expired, expired_key = make(alice)
    outdate(expired, expires_at=timedelta(seconds=1))
    revoked, revoked_key = make(alice)
    keys.revoke(revoked)
    _, dead_key = make(make_user("dave", is_active=False))

    assert [refused_as_wrong(ask(key)) for key in (expired_key, revoked_key, dead_key)] == [True] * 3


def test_key_is_dead_at_once_when_its_user_is_deactivated(alice: User) -> None:
    _, key = make(alice)
    before = ask(key).status_code

    User.objects.update(is_active=False)

    assert (before, refused_as_wrong(ask(key))) == (200, True)


def test_key_in_the_address_opens_nothing(alice: User) -> None:
    _, key = make(alice)

    for name in ("key", "api_key", "token", "access_token", "Authorization"):
        assert Client().get("/api/conversations", {name: key}).status_code == 401


def test_scope_that_a_key_lacks_is_named(alice: User) -> None:
    conversation = make_conversation(owner=alice)
    _, reads = make(alice, scopes=["read"])
    _, chats = make(alice, scopes=["chat"])

    changed = ask(reads, f"/api/conversations/{conversation.pk}", method="DELETE")
    read = ask(chats, f"/api/conversations/{conversation.pk}")

    assert [(answer.status_code, answer.json()["detail"]) for answer in (changed, read)] == [
        (403, "This key may not do that: it takes the scope “chat”."),
        (403, "This key may not do that: it takes the scope “read”."),
    ]
    assert not type(conversation).objects.get().deleted_at


def test_every_operation_takes_a_scope_that_there_is() -> None:
    paths = api.get_openapi_schema(path_prefix="/api/")["paths"]
    nouns = {noun_of(path) for path in paths}

    assert nouns <= SCOPES_OF.keys(), "say in lobby/accounts/bearer.py what scope these take"
    assert SCOPES_OF.keys() - nouns == {"topics"}  # the event stream is no operation of django-ninja
    assert {scope for pair in SCOPES_OF.values() for scope in pair if scope} == set(SCOPES)


def test_openapi_shows_both_ways_in() -> None:
    schema = api.get_openapi_schema(path_prefix="/api/")
    schemes = {
        name: (said["type"], said.get("scheme")) for name, said in schema["components"]["securitySchemes"].items()
    }

    assert schemes == {"Key": ("http", "bearer"), "Session": ("apiKey", None)}
    assert schema["paths"]["/api/conversations"]["get"]["security"] == [{"Key": []}, {"Session": []}]
    assert schema["paths"]["/api/me/keys"]["post"]["security"] == [{"Session": []}]


def test_many_wrong_keys_from_one_address_are_told_to_wait_and_right_ones_still_pass(alice: User) -> None:
    _, key = make(alice)
    for _ in range(WRONG_KEYS_PER_ADDRESS.amount):
        ask("lob_wrong")

    wrong = ask("lob_wrong")

    assert (wrong.status_code, int(wrong["Retry-After"]) > 0) == (429, True)
    assert ask(key).status_code == 200


def test_last_use_is_written_at_most_once_a_minute(alice: User) -> None:
    row, key = make(alice)
    ask(key)
    row.refresh_from_db()
    first = row.last_used_at

    with assertNumQueries(2):  # the key with its user, the list
        ask(key)
    outdate(row, last_used_at=timedelta(seconds=61))
    ask(key)

    row.refresh_from_db()
    assert first is not None
    assert row.last_used_at is not None
    assert row.last_used_at > timezone.now() - timedelta(seconds=30)


def test_key_made_under_a_former_secret_key_works_while_that_is_named_and_is_taken_over(
    alice: User, settings: Any
) -> None:
    _, key = make(alice)
    former, settings.SECRET_KEY = settings.SECRET_KEY, "another secret key"
    forgotten = ask(key).status_code
    settings.SECRET_KEY_FALLBACKS = [former]
    named = ask(key).status_code
    settings.SECRET_KEY_FALLBACKS = []

    assert (forgotten, named, ask(key).status_code) == (401, 200, 200)


def test_rotated_key_works_beside_the_new_one_for_the_overlap(alice: User) -> None:
    row, old = make(alice, scopes=["read", "debate"], days=90)

    new_row, new = keys.rotate(row)
    during = (ask(old).status_code, ask(new).status_code)
    row.refresh_from_db()
    assert row.expires_at is not None
    assert new_row.expires_at is not None
    assert timedelta(hours=23) < row.expires_at - timezone.now() < timedelta(hours=24)
    outdate(row, expires_at=timedelta(seconds=1))

    assert (new_row.name, new_row.scopes) == (row.name, row.scopes)
    assert timedelta(days=89) < new_row.expires_at - timezone.now() < timedelta(days=91)
    assert (during, ask(old).status_code, ask(new).status_code) == ((200, 200), 401, 200)


def test_rotation_without_overlap_ends_the_old_key_at_once(alice: User) -> None:
    row, old = make(alice, days=None)

    new_row, new = keys.rotate(row, overlap=timedelta(0))

    assert (ask(old).status_code, ask(new).status_code, new_row.expires_at) == (401, 200, None)


def test_overlap_does_not_lengthen_the_old_keys_life(alice: User) -> None:
    row, _ = make(alice)
    ApiKey.objects.update(expires_at=timezone.now() + timedelta(minutes=5))
    row.refresh_from_db()
    before = row.expires_at

    keys.rotate(row)

    row.refresh_from_db()
    assert row.expires_at == before


def test_key_that_is_over_is_not_rotated(alice: User) -> None:
    row, _ = make(alice)
    keys.revoke(row)

    with pytest.raises(BadKeyRequest, match="does not work any more"):
        keys.rotate(row)


@pytest.mark.parametrize(
    "asked, words",
    [
        ({"name": "  "}, "Name the key"),
        ({"name": "x" * 81}, "up to 80 characters"),
        ({"scopes": []}, "Choose what the key may do"),
        ({"scopes": ["read", "root"]}, "one or more of read, chat, debate, admin"),
        ({"days": 0}, "from 1 to 3,650 days"),
        ({"days": -1}, "from 1 to 3,650 days"),
        ({"days": 3651}, "from 1 to 3,650 days"),
    ],
)
def test_key_that_makes_no_sense_is_refused_in_words(alice: User, asked: dict[str, Any], words: str) -> None:
    with pytest.raises(BadKeyRequest, match=words):
        make(alice, **asked)
    assert ApiKey.objects.count() == 0


def test_nobody_collects_keys_without_end(alice: User) -> None:
    rows = [make(alice)[0] for _ in range(keys.MOST_KEYS)]
    with pytest.raises(BadKeyRequest, match="You have 25 keys, the limit"):
        make(alice)

    keys.rotate(rows[0])  # who has as many must still be able to change them
    for row in rows[:2]:
        keys.revoke(row)

    make(alice)


def test_api_makes_shows_rotates_and_revokes_keys(alice: User) -> None:
    api = Api(alice)

    made_status, made = api.post("me/keys", name="backup", scopes=["read"], days=30)
    rotated_status, rotated = api.post(f"me/keys/{made['id']}/rotate", overlap_hours=1)
    revoked_status, _ = api.delete(f"me/keys/{made['id']}")
    _, listed = api.get("me/keys")

    assert (made_status, rotated_status, revoked_status) == (201, 201, 204)
    assert [ask(one["key"]).status_code for one in (made, rotated)] == [401, 200]
    assert {row["id"]: ("key" in row, row["revoked_at"] is None) for row in listed["items"]} == {
        rotated["id"]: (False, True),
        made["id"]: (False, False),
    }


def test_api_refuses_nonsense_with_words(alice: User) -> None:
    api = Api(alice)
    asked: dict[str, Any] = {"name": "backup", "scopes": ["read"]}
    wrong: list[dict[str, Any]] = [{"name": ""}, {"name": " "}, {"scopes": ["root"]}, {"scopes": []}]
    wrong += [{"days": 0}, {"days": "x"}]

    answers = [api.post("me/keys", **asked | one) for one in wrong]
    unknown, _ = api.post(f"me/keys/{uuid4()}/rotate")

    assert {status for status, _ in answers} == {422}
    assert unknown == 404
    assert ApiKey.objects.count() == 0


def test_key_makes_no_keys(alice: User) -> None:
    row, key = make(alice, scopes=list(SCOPES))

    answers = [
        ask(key, "/api/me/keys"),
        ask(key, "/api/me/keys", method="POST"),
        ask(key, f"/api/me/keys/{row.pk}/rotate", method="POST"),
        ask(key, f"/api/me/keys/{row.pk}", method="DELETE"),
    ]

    assert [(answer.status_code, answer.json()["detail"]) for answer in answers] == [
        (403, "This can be done on the web page only, not with a key.")
    ] * 4
    assert keys.works(row.pk)


def test_what_becomes_of_a_key_stands_in_the_audit_trail(alice: User) -> None:
    row, _ = make(alice)
    keys.rotate(row)
    Api(alice).delete(f"me/keys/{row.pk}")

    events = AuditEvent.objects.filter(action__startswith="apikey.").order_by("id")
    assert list(events.values_list("action", "subject_id", "actor_name")) == [
        ("apikey.made", str(row.pk), "alice"),
        ("apikey.rotated", str(row.pk), "alice"),
        ("apikey.revoked", str(row.pk), "alice"),
    ]
