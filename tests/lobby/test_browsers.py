from datetime import timedelta
from http import HTTPStatus
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from lobby.accounts import browsers, sessions
from lobby.accounts.models import UserSession
from monitoring.models import AuditEvent
from tests.factories import make_user
from tests.lobby.signing_in import is_signed_in, sign_in, told

pytestmark = pytest.mark.django_db

PAGE = "/account/sessions/"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"
IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Version/18.0 Safari/604.1"


def browser(agent: str = FIREFOX, address: str = "192.0.2.1", username: str = "alice") -> Client:
    """One in which somebody has signed in."""
    client = Client(headers={"User-Agent": agent})
    assert sign_in(client, username, address=address).status_code == HTTPStatus.FOUND
    return client


def row_of(client: Client) -> UserSession:
    return UserSession.objects.get(key=client.session.session_key)


def end(client: Client, what: object) -> Any:
    return client.post(PAGE, {"end": str(what)})


def test_page_lists_each_browser_with_its_address_and_marks_this_one() -> None:
    make_user()
    here, there = browser(), browser(IPHONE, "2001:db8::1")

    page = here.get(PAGE).content.decode()

    assert page.count("<li>") == 2
    assert "Firefox on Linux" in page
    assert "Safari on iPhone" in page
    assert "2001:db8::1" in page
    assert page.count("this browser") == 1
    assert str(row_of(there).pk) in page
    assert str(row_of(here).pk) not in page
    assert str(here.session.session_key) not in page


@pytest.mark.parametrize(
    "agent, words",
    [
        (FIREFOX, "Firefox on Linux"),
        (IPHONE, "Safari on iPhone"),
        ("Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/140.0 Safari/537.36 Edg/140.0", "Edge on Windows"),
        ("Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36 Chrome/140.0 Mobile Safari/537.36", "Chrome on Android"),
        ("python-httpx/0.28", "A Python program"),
        ("", "An unknown browser"),
        ("<script>", "An unknown browser"),
    ],
)
def test_browser_is_named_as_far_as_it_tells(agent: str, words: str) -> None:
    assert browsers.describe(agent) == words


def test_others_sessions_are_not_listed_and_not_to_be_ended() -> None:
    make_user()
    make_user("bob")
    alice, bob = browser(), browser(username="bob")

    assert bob.get(PAGE).content.decode().count("<li>") == 1
    end(bob, row_of(alice).pk)

    assert is_signed_in(alice)


def test_one_session_is_ended_with_its_sockets(django_capture_on_commit_callbacks: Any) -> None:
    alice = make_user()
    here, there = browser(), browser()

    with django_capture_on_commit_callbacks(execute=True):
        assert end(here, row_of(there).pk)["Location"] == PAGE

    assert (is_signed_in(here), is_signed_in(there)) == (True, False)
    assert told(alice) == 1
    assert AuditEvent.objects.filter(action="session.ended", actor=alice).count() == 1


def test_all_others_are_ended_and_this_one_stays(django_capture_on_commit_callbacks: Any) -> None:
    alice = make_user()
    here, *others = [browser() for _ in range(4)]

    with django_capture_on_commit_callbacks(execute=True):
        page = here.post(PAGE, {"end": "others"}, follow=True)

    assert [is_signed_in(client) for client in (here, *others)] == [True, False, False, False]
    assert b"Signed out in 3 other browsers." in page.content
    assert told(alice) == 1


@pytest.mark.parametrize("what", ["", "nonsense", "5f0e0f5e-0000-4000-8000-000000000009", "a\0b"])
def test_nonsense_ends_nothing_and_says_so(what: str) -> None:
    make_user()
    here = browser()

    page = here.post(PAGE, {"end": what}, follow=True)

    assert b"That session was over already." in page.content
    assert is_signed_in(here)


def test_admin_ends_all_sessions_of_somebody() -> None:
    alice = make_user()
    clients = [browser() for _ in range(2)]

    assert sessions.end_everywhere(alice) == 2
    assert [is_signed_in(client) for client in clients] == [False, False]


def test_new_password_leaves_no_other_session_in_the_list() -> None:
    alice = make_user()
    here = browser()
    browser()

    alice.set_password("another long phrase")
    alice.save()

    assert browsers.of(alice).count() == 0
    assert not is_signed_in(here)


def test_sessions_that_ran_out_are_not_listed_and_their_rows_go_at_the_next_sign_in() -> None:
    alice = make_user()
    browser()
    Session.objects.update(expire_date=timezone.now() - timedelta(seconds=1))
    assert browsers.of(alice).count() == 0

    browser()

    assert UserSession.objects.count() == 1


def test_request_soon_after_another_writes_nothing_down(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    make_user()
    here = browser()
    with django_assert_num_queries(2):  # the session and its user
        here.get("/email/sent/")


def test_session_of_another_process_is_written_down_when_it_is_seen() -> None:
    make_user()
    here = browser()
    row = row_of(here)
    UserSession.objects.update(seen_at=timezone.now() - timedelta(hours=1), address="198.51.100.1")
    browsers._noted.clear()  # as a process that has not seen it

    here.get("/password/")

    seen = row_of(here)
    assert (seen.pk, seen.address) == (row.pk, "127.0.0.1")
    assert timezone.now() - seen.seen_at < timedelta(minutes=1)


def test_who_is_not_signed_in_leaves_no_row(client: Client) -> None:
    client.get("/sign-in/")

    assert UserSession.objects.count() == 0
    assert User.objects.count() == 0
