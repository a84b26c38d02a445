from typing import Any

import httpx
import orjson
import pytest
from django.contrib.auth.models import AnonymousUser

from agents import queue
from agents.models import Run
from debates import rounds
from debates.history import events_of
from debates.models import Debate, Round, Seat, Speech
from debates.topics import may_attach, snapshot
from lobby.live.connections import sync_redis
from lobby.live.streams import publish
from lobby.live.topics import TOPICS
from tests.debates.pump import launch
from tests.debates.rows import add_run, make_debate, make_round, make_speech
from tests.factories import make_user
from tests.lobby.live.sockets import sign_in
from tests.processes import web_process

pytestmark = pytest.mark.django_db


def speaking(debate: Debate, seat: Seat, **run: Any) -> Speech:
    waiting: dict[str, Any] = {"text": "", "status": Speech.Status.WAITING, "ended_at": None}
    round = debate.rounds.last() or make_round(debate, step="speech")
    speech = make_speech(round, seat, **waiting)
    unfinished: dict[str, Any] = {
        "topic": debate.topic,
        "status": Run.Status.QUEUED,
        "started_at": None,
        "finished_at": None,
    }
    add_run(speech, **unfinished | run)
    return speech


def test_the_topic_is_registered() -> None:
    assert (TOPICS["debate"].may_attach, TOPICS["debate"].snapshot) == (may_attach, snapshot)


def test_only_the_owner_may_attach() -> None:
    debate = make_debate()
    id = str(debate.pk)
    assert may_attach(debate.owner, id) is True
    assert may_attach(make_user("bob"), id) is False
    assert may_attach(AnonymousUser(), id) is False


@pytest.mark.parametrize("id", ["7", "", "x", "00000000-0000-0000-0000-000000000000", "a\0b"])
def test_what_is_no_debate_is_nobodys(id: str) -> None:
    assert may_attach(make_user(), id) is False


def test_the_snapshot_has_what_is_being_said_and_what_led_there() -> None:
    debate = make_debate()
    first, second, third = debate.seats.all()
    running = {"status": Run.Status.RUNNING, "attempt": 2, "text": "Yes, as", "thinking": "Hm", "cursor": "6-1"}
    one, two = speaking(debate, first, **running), speaking(debate, second)
    done = speaking(debate, third)
    Speech.objects.filter(pk=done.pk).update(status=Speech.Status.DONE, text="No.")
    sync_redis().hset(queue.POSITIONS, str(two.run_id), "3")

    shown = snapshot(str(debate.pk))

    assert shown == {
        "type": "snapshot",
        "runs": [
            {
                "run": str(one.run_id),
                "speech": str(one.pk),
                "seat": str(first.pk),
                "status": "running",
                "attempt": 2,
                "text": "Yes, as",
                "thinking": "Hm",
                "position": None,
                "cursor": "6-1",
                "model": "smollm2:135m",
                "host": None,
                "stopping": False,
            },
            {
                "run": str(two.run_id),
                "speech": str(two.pk),
                "seat": str(second.pk),
                "status": "queued",
                "attempt": 0,
                "text": "",
                "thinking": "",
                "position": 3,
                "cursor": "",
                "model": "smollm2:135m",
                "host": None,
                "stopping": False,
            },
        ],
        "events": events_of(debate),
        "status": "running",
    }


def test_a_silent_speech_is_not_shown_while_it_is_made() -> None:
    debate = make_debate(silent=["fact-checker"])
    make_round(debate, kind=Round.Kind.CHALLENGE, step="challenge")
    speaking(debate, debate.seats.get(role="fact-checker"), topic="", text='{"checks": [')
    assert snapshot(str(debate.pk))["runs"] == []


@pytest.mark.parametrize("seats", [1, 3])
def test_queries_do_not_grow_with_the_seats(seats: int, django_assert_num_queries: Any) -> None:
    debate = make_debate()
    for seat in debate.seats.all()[:seats]:
        speaking(debate, seat)
    with django_assert_num_queries(8):
        snapshot(str(debate.pk))


@pytest.mark.django_db(transaction=True)
def test_a_debate_is_followed_by_server_sent_events_from_where_one_left_off() -> None:
    alice = make_user()
    debate = launch(owner=alice)
    rounds.advance(debate.pk)
    with web_process() as server:
        url = f"{server.url}/api/topics/{debate.topic}/events"
        cookies = {"sessionid": sign_in(alice)}
        with httpx.stream("GET", url, cookies=cookies, timeout=60) as answer:
            cursor, first = next_event(answer)
            assert (first["type"], first["status"], len(first["runs"])) == ("snapshot", "running", 5)
            assert [event["type"] for event in first["events"]][:2] == ["debate.round", "debate.speech"]
        publish(debate.topic, {"type": "debate.score", "round": 0})
        with httpx.stream("GET", url, cookies=cookies, headers={"Last-Event-ID": cursor}, timeout=60) as answer:
            assert next_event(answer)[1] == {"type": "debate.score", "round": 0}
        bob = {"sessionid": sign_in(make_user("bob"))}
        assert httpx.get(url, cookies=bob, timeout=60).status_code == 404
        assert httpx.get(url, timeout=60).status_code == 401


def next_event(answer: httpx.Response) -> tuple[str, dict[str, Any]]:
    """Its cursor and what it says."""
    lines = answer.iter_lines()
    cursor = next(line for line in lines if line.startswith("id: "))
    data = next(line for line in lines if line.startswith("data: "))
    return cursor.removeprefix("id: "), orjson.loads(data.removeprefix("data: "))
