"""The socket on a real web process, on topics whose rows the tests make."""

from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from django.contrib.auth.models import User
from django.test import Client
from pytest_django import DjangoDbBlocker
from websockets.exceptions import ConnectionClosed, InvalidStatus

from lobby.embedded.child import Child
from lobby.live.streams import publish
from tests.factories import make_conversation, make_user
from tests.lobby.live.sockets import is_event, sign_in, socket
from tests.processes import web_process
from tests.waiting import wait_for

pytestmark = pytest.mark.django_db(transaction=True)
FLOOD = 1000  # frames; also a server that is slow at them takes more than 40 a second


@pytest.fixture(scope="module")
def web(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[Child]:
    with django_db_blocker.unblock(), web_process() as process:
        yield process


@pytest.fixture
def alice() -> User:
    return make_user()


def note(number: int) -> dict[str, Any]:
    return {"type": "chat.title", "title": f"n{number}"}


def titles(frames: list[dict[str, Any]]) -> list[str]:
    return [frame["event"]["title"] for frame in frames if frame.get("event", {}).get("type") == "chat.title"]


def test_attach_gives_a_snapshot_then_what_came_since_then_live(web: Child, alice: User) -> None:
    topic = make_conversation(owner=alice).topic
    with socket(web.url, session=sign_in(alice)) as page:
        page.until(is_event("snapshot"))  # of the user's own topic
        page.send(attach=topic, after="")
        (first,) = page.until(lambda frame: frame.get("topic") == topic)
        assert first["event"]["type"] == "snapshot"
        publish(topic, note(1))
        assert titles([page.receive()]) == ["n1"]


def test_who_comes_back_with_a_cursor_gets_what_he_missed_and_nothing_twice(web: Child, alice: User) -> None:
    topic, session = make_conversation(owner=alice).topic, sign_in(alice)
    cursors = [publish(topic, note(number)) for number in range(5)]
    with socket(web.url, session=session) as page:
        page.send(attach=topic, after=cursors[1])
        publish(topic, note(5))
        frames = page.until(lambda frame: titles([frame]) == ["n5"])
    assert titles(frames) == ["n2", "n3", "n4", "n5"]
    assert not [frame for frame in frames if frame.get("topic") == topic and is_event("snapshot")(frame)]


def test_cursor_that_the_stream_no_longer_covers_gives_a_snapshot(web: Child, alice: User) -> None:
    topic = make_conversation(owner=alice).topic
    publish(topic, note(1))
    with socket(web.url, session=sign_in(alice)) as page:
        page.send(attach=topic, after="1-1")
        frames = page.until(lambda frame: frame.get("topic") == topic)
    assert frames[-1]["event"]["type"] == "snapshot"


@pytest.mark.parametrize(
    "topic", ["chat:", "chat:1", "chat:5f0e0f5e-0000-4000-8000-000000000009", "nothing:1", "", "user:0"]
)
def test_topic_that_is_not_there_is_refused_and_the_socket_stays(web: Child, alice: User, topic: str) -> None:
    with socket(web.url, session=sign_in(alice)) as page:
        page.send(attach=topic)
        (*_, refusal) = page.until(lambda frame: "error" in frame)
        page.send(ping=1)
        assert (refusal["error"]["kind"], page.receive()) == ("no_such_topic", {"pong": 1})


def test_topic_of_another_looks_like_none(web: Child, alice: User) -> None:
    topic = make_conversation(owner=alice).topic
    with socket(web.url, session=sign_in(make_user("bob"))) as page:
        page.send(attach=topic)
        (*_, refusal) = page.until(lambda frame: "error" in frame)
    assert len(refusal["error"].pop("request_id")) == 32
    assert refusal["error"] == {"kind": "no_such_topic", "message": "There is no such topic.", "topic": topic}


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "1", "null", '{"attach": 1}', '{"cancel": {}}', '{"ping": "x"}', '"\\ud800"', "\x00", "[" * 5000],
)
def test_malformed_frame_is_answered_and_the_socket_stays(web: Child, alice: User, text: str) -> None:
    with socket(web.url, session=sign_in(alice)) as page:
        page.wire.send(text)
        (*_, refusal) = page.until(lambda frame: "error" in frame)
        page.send(ping=7)
        assert (refusal["error"]["kind"], page.receive()) == ("bad_frame", {"pong": 7})


def test_frame_that_is_too_long_is_refused_with_the_limit_and_the_socket_stays(web: Child, alice: User) -> None:
    with socket(web.url, session=sign_in(alice)) as page:
        page.until(is_event("snapshot"))
        page.wire.send('{"ping": 1}' + " " * 65536)
        refusal = page.receive()
        page.send(ping=2)
        assert (refusal["error"]["kind"], page.receive()) == ("frame_too_long", {"pong": 2})
        assert "65536" in refusal["error"]["message"]


def test_frame_of_a_megabyte_is_not_even_taken(web: Child, alice: User) -> None:
    with socket(web.url, session=sign_in(alice)) as page:
        page.until(is_event("snapshot"))
        page.wire.send(" " * (1024 * 1024 + 1))
        with pytest.raises(ConnectionClosed) as closing:
            page.receive()
    assert closing.value.rcvd is not None
    assert closing.value.rcvd.code == 1009


def test_binary_frame_is_answered_and_the_socket_stays(web: Child, alice: User) -> None:
    with socket(web.url, session=sign_in(alice)) as page:
        page.wire.send(b"\x00\xff")
        assert page.until(lambda frame: "error" in frame)[-1]["error"]["kind"] == "bad_frame"


def test_more_frames_than_a_second_allows_are_throttled_and_that_is_said(web: Child, alice: User) -> None:
    with socket(web.url, session=sign_in(alice)) as page:
        page.until(is_event("snapshot"))
        for number in range(FLOOD):
            page.send(ping=number)
        refusals = [frame["error"] for frame in (page.receive() for _ in range(FLOOD)) if "error" in frame]
        assert {refusal["kind"] for refusal in refusals} == {"too_many_frames"}
        assert "At most 40 frames a second" in refusals[0]["message"]

        def answers() -> bool:
            page.send(ping=1000)
            return page.receive() == {"pong": 1000}

        wait_for(answers)


def test_cancel_of_a_strange_run_is_refused(web: Child, alice: User) -> None:
    with socket(web.url, session=sign_in(alice)) as page:
        page.send(cancel="x")
        assert page.until(lambda frame: "error" in frame)[-1]["error"]["kind"] == "no_such_run"


@pytest.mark.parametrize("origin", ["https://evil.example", None])
def test_socket_from_another_site_or_from_none_is_refused(web: Child, alice: User, origin: str | None) -> None:
    with pytest.raises(InvalidStatus) as refusal, socket(web.url, session=sign_in(alice), origin=origin):
        pass
    assert refusal.value.response.status_code == 403


def test_socket_without_a_session_is_closed_with_its_own_code(web: Child) -> None:
    with socket(web.url) as page, pytest.raises(ConnectionClosed) as closing:
        page.receive()
    assert closing.value.rcvd is not None
    assert closing.value.rcvd.code == 4401


def test_socket_closes_when_its_session_ends(web: Child, alice: User) -> None:
    session = sign_in(alice)
    with socket(web.url, session=session) as page:
        page.until(is_event("snapshot"))
        alice.is_active = False
        alice.save()
        publish(f"user:{alice.pk}", {"type": "session.ended"})
        with pytest.raises(ConnectionClosed) as closing:
            page.until(lambda _: False)
    assert closing.value.rcvd is not None
    assert closing.value.rcvd.code == 4000


def test_socket_closes_in_the_browser_that_was_signed_out_from_another(web: Child, alice: User) -> None:
    here, there = Client(), Client()
    for browser in (here, there):
        browser.force_login(alice)
    with socket(web.url, session=str(there.session.session_key)) as page:
        page.until(is_event("snapshot"))
        here.post("/account/sessions/", {"end": "others"})
        with pytest.raises(ConnectionClosed) as closing:
            page.until(lambda _: False)
    assert closing.value.rcvd is not None
    assert closing.value.rcvd.code == 4000
    with socket(web.url, session=str(there.session.session_key)) as page, pytest.raises(ConnectionClosed):
        page.receive()
    with socket(web.url, session=str(here.session.session_key)) as page:
        page.until(is_event("snapshot"))


def test_slow_reader_is_sent_a_fresh_snapshot_and_misses_nothing_after_it(web: Child, alice: User) -> None:
    topic = make_conversation(owner=alice).topic
    with socket(web.url, session=sign_in(alice)) as page:
        page.send(attach=topic)
        page.until(lambda frame: frame.get("topic") == topic)
        payload = {"type": "chat.title", "title": "x" * 30_000}
        for _ in range(600):
            publish(topic, payload)
        last = publish(topic, note(1))
        frames = page.until(lambda frame: frame.get("id") == last or "last" in frame)
    assert frames[-1]["id"] >= last


def test_event_stream_gives_the_same_events(web: Child, alice: User) -> None:
    import httpx

    topic = make_conversation(owner=alice).topic
    first = publish(topic, note(0))
    second = publish(topic, note(1))
    cookies = {"sessionid": sign_in(alice)}
    url = f"{web.url}/api/topics/{topic}/events"
    with httpx.stream("GET", url, cookies=cookies, headers={"Last-Event-ID": first}, timeout=60) as reply:
        lines = reply.iter_lines()
        assert [next(lines), next(lines)] == [f"id: {second}", f"data: {orjson.dumps(note(1)).decode()}"]
    strange = httpx.get(url, cookies={"sessionid": sign_in(make_user("bob"))}, timeout=60)
    answers = [strange, httpx.get(url, timeout=60), httpx.post(url, timeout=60)]
    assert [answer.status_code for answer in answers] == [404, 401, 405]
