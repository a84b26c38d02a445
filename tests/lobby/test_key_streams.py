"""Event streams and sockets of a real web process, opened with an API key."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from django.contrib.auth.models import User
from pytest_django import DjangoDbBlocker
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect
from websockets.typing import Origin

from lobby.accounts import keys
from lobby.accounts.attempts import WRONG_KEYS_PER_ADDRESS
from lobby.embedded.child import Child
from lobby.live.streams import publish
from tests.factories import make_conversation, make_user
from tests.lobby.live.sockets import sign_in
from tests.processes import web_process

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(scope="module")
def web(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[Child]:
    with django_db_blocker.unblock(), web_process() as process:
        yield process


@pytest.fixture
def alice() -> User:
    return make_user()


def bearer(key: str) -> dict[str, Any]:
    return {"headers": {"Authorization": f"Bearer {key}"}, "timeout": 60}


def test_stream_is_read_with_a_key_and_ends_when_the_key_is_revoked(web: Child, alice: User) -> None:
    row, key = keys.make(alice, name="script", scopes=["read"])
    topic = make_conversation(owner=alice).topic
    url = f"{web.url}/api/topics/{topic}/events"

    with httpx.stream("GET", url, **bearer(key)) as events:
        lines = events.iter_lines()
        assert next(lines).startswith("id: ")
        keys.revoke(row)
        rest = list(lines)  # to its end, which comes within the time-out

    assert "session.ended" not in "".join(rest)
    assert httpx.get(url, **bearer(key)).status_code == 401


def test_stream_takes_a_key_of_its_owner_that_reads_and_looks_at_no_cookie(web: Child, alice: User) -> None:
    bob = make_user("bob")
    conversation = make_conversation(owner=alice)
    url = f"{web.url}/api/topics/{conversation.topic}/events"
    publish(conversation.topic, {"type": "chat.title", "title": "Zanzibar"})
    made = {
        "alice's that chats": keys.make(alice, name="script", scopes=["chat"])[1],
        "bob's": keys.make(bob, name="script", scopes=["read"])[1],
        "nobody's": "lob_wrong",
    }
    cookies = {"sessionid": sign_in(alice)}

    answers = {whose: httpx.get(url, cookies=cookies, **bearer(key)) for whose, key in made.items()}

    assert {whose: answer.status_code for whose, answer in answers.items()} == {
        "alice's that chats": 403,
        "bob's": 404,
        "nobody's": 401,
    }
    assert answers["nobody's"].json()["detail"] == "This key is not valid, or not any more."


def test_wrong_keys_are_counted_at_streams_too(web: Child) -> None:
    url = f"{web.url}/api/topics/user:1/events"
    with httpx.Client(**bearer("lob_wrong")) as client:
        answers = [client.get(url) for _ in range(WRONG_KEYS_PER_ADDRESS.amount + 1)]

    assert [answer.status_code for answer in answers[-2:]] == [401, 429]
    assert int(answers[-1].headers["Retry-After"]) > 0


def test_socket_of_pages_takes_no_key(web: Child, alice: User) -> None:
    _, key = keys.make(alice, name="script", scopes=list(keys.SCOPES))
    address = web.url.replace("http:", "ws:") + "/ws/"

    headers: dict[str, str] = bearer(key)["headers"]
    with (
        connect(address, additional_headers=headers, origin=Origin(web.url), open_timeout=60) as wire,
        pytest.raises(ConnectionClosed) as closed,
    ):
        wire.recv(timeout=60)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4401
