"""Where somebody is signed in, asked for and ended by the REST API."""

from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.test import Client

from lobby.accounts import keys
from monitoring.models import AuditEvent
from tests.factories import make_user
from tests.lobby.signing_in import is_signed_in, sign_in, told

pytestmark = pytest.mark.django_db

PATH = "/api/me/sessions"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"


@pytest.fixture
def alice(db: None) -> User:
    return make_user()


def browser(username: str = "alice", address: str = "192.0.2.1", agent: str = FIREFOX) -> Client:
    client = Client(headers={"User-Agent": agent})
    sign_in(client, username, address=address)
    return client


def listed(client: Client) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = client.get(PATH).json()["items"]
    return items


def id_of(client: Client) -> str:
    return next(str(item["id"]) for item in listed(client) if item["is_current"])


def test_each_browser_is_listed_with_its_address_and_this_one_marked(alice: User) -> None:
    browser(address="2001:db8::1", agent="python-httpx/0.28")
    here = browser()

    items = listed(here)

    told_of = {(item["browser"], item["address"], item["is_current"]) for item in items}
    assert told_of == {("Firefox on Linux", "192.0.2.1", True), ("A Python program", "2001:db8::1", False)}
    assert all(item["began_at"] and item["seen_at"] for item in items)
    assert str(here.session.session_key) not in str(items)


def test_one_is_ended_with_its_sockets_and_recorded(alice: User, django_capture_on_commit_callbacks: Any) -> None:
    here, there = browser(), browser()
    of_there = id_of(there)

    with django_capture_on_commit_callbacks(execute=True):
        answer = here.delete(f"{PATH}/{of_there}")

    assert answer.status_code == 204
    assert (is_signed_in(here), is_signed_in(there)) == (True, False)
    assert told(alice) == 1
    assert AuditEvent.objects.filter(action="session.ended", actor=alice).count() == 1


def test_all_others_are_ended_and_this_one_stays(alice: User, django_capture_on_commit_callbacks: Any) -> None:
    here, *others = [browser() for _ in range(3)]

    with django_capture_on_commit_callbacks(execute=True):
        answer = here.post(f"{PATH}/end-others")

    assert (answer.status_code, answer.json()) == (200, {"ended": 2})
    assert [is_signed_in(client) for client in (here, *others)] == [True, False, False]
    assert told(alice) == 1
    assert AuditEvent.objects.get(action="session.others_ended").detail == {"count": 2}


def test_ones_own_is_not_ended_from_itself(alice: User) -> None:
    here = browser()

    answer = here.delete(f"{PATH}/{id_of(here)}")

    assert (answer.status_code, answer.json()["detail"]) == (
        409,
        "This is the session that you ask from: sign out on the page.",
    )
    assert is_signed_in(here)


def test_anothers_and_one_that_is_not_there_look_alike(alice: User) -> None:
    make_user("bob")
    here, of_bob = browser(), browser("bob")

    answers = [here.delete(f"{PATH}/{pk}") for pk in (id_of(of_bob), uuid4())]

    assert [answer.status_code for answer in answers] == [404, 404]
    assert answers[0].json()["detail"] == answers[1].json()["detail"]
    assert is_signed_in(of_bob)
    assert AuditEvent.objects.filter(action="session.ended").count() == 0


@pytest.mark.parametrize("method, rest", [("GET", ""), ("POST", "/end-others"), ("DELETE", "/{}")])
def test_key_neither_sees_nor_ends_sessions_whatever_its_scopes(alice: User, method: str, rest: str) -> None:
    here = browser()
    _, key = keys.make(alice, name="script", scopes=list(keys.SCOPES))
    path = PATH + rest.format(id_of(here))

    answer = Client().generic(method, path, headers={"authorization": f"Bearer {key}"})

    assert (answer.status_code, answer.json()["detail"]) == (
        403,
        "This can be done on the web page only, not with a key.",
    )
    assert is_signed_in(here)


def test_csrf_token_is_asked_for(alice: User) -> None:
    there = browser()
    client = Client(enforce_csrf_checks=True)
    client.force_login(alice)

    assert client.post(f"{PATH}/end-others").json()["kind"] == "csrf"
    assert is_signed_in(there)
