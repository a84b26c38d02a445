"""Sockets end with the right to them, at most 5 s after it: on a real web process."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from django.contrib.auth.models import Group, User
from django.test import Client
from websockets.exceptions import ConnectionClosed

from lobby.embedded.child import Child
from lobby.live.streams import publish
from tests.factories import PASSWORD, make_conversation, make_user
from tests.lobby.live.sockets import Socket, is_event, sign_in, socket
from tests.processes import web_process

pytestmark = pytest.mark.django_db(transaction=True)

SIGNED_OUT, COME_BACK = 4401, 4000


@pytest.fixture(scope="module")
def web(django_db_setup: None, django_db_blocker: Any) -> Iterator[Child]:
    with django_db_blocker.unblock(), web_process() as process:
        yield process


@pytest.fixture
def alice(transactional_db: None) -> User:
    return make_user()


def close_code(page: Socket) -> int:
    """The code with which the socket closes, within 5 s."""
    until = time.monotonic() + 5
    with pytest.raises(ConnectionClosed) as closing:
        page.until(lambda _: time.monotonic() > until)
    assert closing.value.rcvd is not None
    return closing.value.rcvd.code


def sign_out_elsewhere(user: User) -> None:
    other = Client()
    other.force_login(user)
    other.post("/sign-out/")


def deactivate(user: User) -> None:
    user.is_active = False
    user.save()


def change_password(user: User) -> None:
    user.set_password("another long phrase")
    user.save()


def promote(user: User) -> None:
    user.is_staff = True
    user.save()


def join_group(user: User) -> None:
    user.groups.add(Group.objects.create(name="operators"))


def comes_back_as(web: Child, session: str) -> bool:
    """Whether a page with this session is let in again."""
    with socket(web.url, session=session) as page:
        try:
            page.send(ping=1)
            page.until(lambda frame: "pong" in frame)
        except ConnectionClosed as closed:
            assert closed.rcvd is not None
            assert closed.rcvd.code == SIGNED_OUT
            return False
    return True


@pytest.mark.parametrize(
    "change, stays",
    [
        (deactivate, False),
        (change_password, False),
        (User.delete, False),
        (promote, True),
        (join_group, True),
        (sign_out_elsewhere, True),
    ],
)
def test_socket_closes_when_the_right_to_it_may_have_changed(
    web: Child, alice: User, change: Callable[[User], object], stays: bool
) -> None:
    session = sign_in(alice)
    with socket(web.url, session=session) as page:
        page.until(is_event("snapshot"))
        change(alice)
        assert close_code(page) == COME_BACK
    assert comes_back_as(web, session) is stays


def test_signing_out_ends_the_socket_of_that_browser_for_good(web: Child, alice: User) -> None:
    browser = Client()
    browser.post("/sign-in/", {"username": "alice", "password": PASSWORD})
    session = browser.cookies["sessionid"].value

    with socket(web.url, session=session) as page:
        page.until(is_event("snapshot"))
        browser.post("/sign-out/")
        assert close_code(page) == COME_BACK
        assert not comes_back_as(web, session)


def test_changing_the_password_leaves_the_other_tabs_of_that_browser_signed_in(web: Child, alice: User) -> None:
    browser = Client()
    browser.post("/sign-in/", {"username": "alice", "password": PASSWORD})
    new = "another long phrase"

    with socket(web.url, session=browser.cookies["sessionid"].value) as page:
        page.until(is_event("snapshot"))
        browser.post("/password/", {"old_password": PASSWORD, "new_password1": new, "new_password2": new})
        assert close_code(page) == COME_BACK
    assert comes_back_as(web, browser.cookies["sessionid"].value)


def test_page_that_comes_back_is_not_sent_away_again(web: Child, alice: User) -> None:
    session, topic = sign_in(alice), make_conversation(owner=alice).topic
    with socket(web.url, session=session) as page:
        page.until(is_event("snapshot"))
        promote(alice)
        assert close_code(page) == COME_BACK

    with socket(web.url, session=session) as page:
        page.send(attach=topic)
        page.until(lambda frame: frame.get("topic") == topic)
        page.send(ping=1)
        assert page.receive() == {"pong": 1}


def test_event_stream_ends_with_the_session_and_is_refused_afterwards(web: Child, alice: User) -> None:
    topic, cookies = make_conversation(owner=alice).topic, {"sessionid": sign_in(alice)}
    url = f"{web.url}/api/topics/{topic}/events"
    with httpx.Client(cookies=cookies, timeout=10) as client:
        with client.stream("GET", url) as stream:
            lines = stream.iter_lines()
            assert next(lines).startswith("id: ")
            deactivate(alice)
            assert [line for line in lines if "session" in line] == []  # which reads to the end
        refused = client.get(url)

    assert (refused.status_code, refused.json()["kind"]) == (401, "unauthorized")


def test_event_stream_of_a_user_whose_rights_changed_may_be_taken_up_again(web: Child, alice: User) -> None:
    topic, cookies = make_conversation(owner=alice).topic, {"sessionid": sign_in(alice)}
    url = f"{web.url}/api/topics/{topic}/events"
    first = publish(topic, {"type": "chat.title", "title": "one"})
    with httpx.Client(cookies=cookies, timeout=10) as client:
        with client.stream("GET", url) as stream:
            lines = stream.iter_lines()
            assert next(lines).startswith("id: ")
            promote(alice)
            for _ in lines:
                pass
        second = publish(topic, {"type": "chat.title", "title": "two"})
        with client.stream("GET", url, headers={"Last-Event-ID": first}) as stream:
            assert next(stream.iter_lines()) == f"id: {second}"


def test_socket_of_another_user_stays(web: Child, alice: User) -> None:
    with socket(web.url, session=sign_in(make_user("bob"))) as page:
        page.until(is_event("snapshot"))
        deactivate(alice)
        page.send(ping=1)
        assert page.receive() == {"pong": 1}
