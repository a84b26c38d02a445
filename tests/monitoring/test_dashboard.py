"""The dashboard's page, its topic and its twin in the API."""

import re
from datetime import timedelta
from typing import Any

import orjson
import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.db.models.functions import Now
from django.test import Client
from django.test.utils import CaptureQueriesContext

from agents.breaker import KEY as BREAKERS
from agents.models import Host, Run, Worker
from debates.models import Debate
from lobby.live.connections import sync_redis
from lobby.live.streams import key
from monitoring import board, snapshots, topics
from monitoring.models import Snapshot
from tests.conftest import RedisServer
from tests.factories import make_admin, make_host, make_run, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def carol(client: Client) -> User:
    admin = make_admin()
    client.force_login(admin)
    return admin


def ended(status: str = Run.Status.DONE, **fields: Any) -> Run:
    return make_run(status=status, finished_at=Now() - timedelta(seconds=10), **fields)


def tiles() -> dict[str, tuple[str, str]]:
    """What each says, and how it looks."""
    return {tile.label: (tile.value, tile.tone) for tile in board.look().tiles}


def lines(panel: str) -> dict[str, list[str]]:
    found = next(each for each in board.look().panels if each.key == panel)
    return {line.name: line.cells for line in found.lines}


def test_figures_stand_in_tiles() -> None:
    host = make_host(max_parallel=4)
    make_run(status=Run.Status.RUNNING, host=host)
    make_run(queued_at=Now() - timedelta(seconds=90))
    asked = Now() - timedelta(seconds=30)
    ended(output_tokens=120, queued_at=asked, first_token_at=Now() - timedelta(seconds=28))
    ended(Run.Status.FAILED, error_kind="stalled")

    assert tiles() == {
        "Running": ("1", ""),
        "In line": ("1", "warning"),
        "First token": ("2.0 s", ""),
        "Tokens": ("2.0", ""),
        "Failed": ("50.0%", "failure"),
        "Workers": ("0", "failure"),
        "Debates": ("0", ""),
        "Requests": ("0.0", ""),
        "Sockets": ("0", ""),
    }


def test_hosts_are_listed_with_state_and_breaker() -> None:
    attic = make_host(name="attic", max_parallel=2, latency_ms=12.4)
    make_host(name="cellar", is_enabled=False)
    make_host(name="hall", is_draining=True)
    make_run(wanted_host=attic)
    make_run()
    opened = {"window": [], "open_until": 9e9, "trips": 1}
    sync_redis().hset(BREAKERS, str(attic.pk), orjson.dumps(opened).decode())

    assert lines("hosts") == {
        "attic": ["up", "open", "0 of 2", "1", "12 ms"],
        "cellar": ["switched off", "", "0 of 1", "", ""],
        "hall": ["draining", "closed", "0 of 1", "", ""],
        "any host": ["", "", "", "1", ""],
    }


def test_workers_are_listed_with_their_load() -> None:
    worker = Worker.objects.create(machine="here/1/2", pid=7)
    Worker.objects.create(machine="here/1/2", pid=8, seen_at=Now() - timedelta(minutes=3))
    for _ in range(2):
        make_run(status=Run.Status.RUNNING, worker=worker.pk)

    loads = {name: cells[0] for name, cells in lines("workers").items()}

    assert loads == {"here, process 7": "2", "here, process 8": "0"}
    assert lines("workers")["here, process 8"][1] == "3 min ago"


def test_states_count_a_minute_and_a_day() -> None:
    now = snapshots.minute_now()
    Snapshot.objects.create(span="minute", at=now - timedelta(minutes=2), figures={"runs_finished:done": 40})
    ended()
    make_run()

    found = lines("states")

    assert (found["in line"], found["done"], found["failed"]) == (["1", "", ""], ["", "1", "41"], ["", "0", "0"])


def test_failures_and_labels_are_listed_by_kind(carol: User) -> None:
    for kind in ("stalled", "model_missing", "stalled"):
        ended(Run.Status.FAILED, error_kind=kind)
    about = {"owner": carol, "question": "Why?", "status": "ended", "ended_at": Now()}
    Debate.objects.create(**about, verdict={"label": "hollow"})
    Debate.objects.create(**about)

    assert list(lines("failures").items()) == [("stalled", ["2"]), ("model missing", ["1"])]
    assert lines("labels") == {"robust": ["0"], "procedural": ["0"], "hollow": ["1"], "no result": ["1"]}


def test_every_figure_leads_to_its_rows(client: Client, carol: User) -> None:
    host = make_host()
    worker = Worker.objects.create(machine="here", pid=7)
    make_run(status=Run.Status.RUNNING, worker=worker.pk, host=host)
    make_run()
    ended(Run.Status.FAILED, error_kind="stalled")
    ended(Run.Status.INTERRUPTED)
    Debate.objects.create(
        owner=carol, question="Why?", protocol="round-table", rule="majority", status="ended", ended_at=Now(),
        verdict={"label": "hollow"},
    )  # fmt: skip

    page = client.get("/dashboard/").content.decode()
    links = {link.replace("&amp;", "&") for link in re.findall(r'href="(/admin/[^"]+)"', page)}
    answers = {link: client.get(link).status_code for link in links}

    assert answers == dict.fromkeys(links, 200)
    assert len(links) > 15


def test_link_to_a_label_finds_its_debates(client: Client, carol: User) -> None:
    about = {"owner": carol, "protocol": "round-table", "rule": "majority", "status": "ended", "ended_at": Now()}
    hollow, robust = (Debate.objects.create(**about, verdict={"label": label}) for label in ("hollow", "robust"))
    panel = next(each for each in board.look().panels if each.key == "labels")

    listed = client.get(next(line.href for line in panel.lines if line.name == "hollow")).content.decode()

    assert (str(hollow.pk) in listed, str(robust.pk) in listed) == (True, False)


def test_costs_the_same_for_one_host_and_for_three(client: Client, carol: User) -> None:
    def cost() -> int:
        with CaptureQueriesContext(connection) as queries:
            assert client.get("/dashboard/").status_code == 200
        return len(queries)

    fill()
    client.get("/dashboard/")
    once = cost()
    fill()
    fill()

    assert cost() == once


def fill() -> None:
    host = make_host()
    worker = Worker.objects.create(machine="here", pid=7)
    make_run(status=Run.Status.RUNNING, worker=worker.pk, host=host)
    make_run(wanted_host=host)
    ended(Run.Status.FAILED, error_kind="stalled")


def test_is_not_there_for_strangers_and_for_who_may_see_metrics_it_is(client: Client) -> None:
    bob = make_user("bob")
    client.force_login(bob)
    paths = ("/dashboard/", "/api/dashboard", "/api/dashboard/history")

    assert [client.get(path).status_code for path in paths] == [404, 404, 404]

    bob.user_permissions.add(Permission.objects.get(codename="see_metrics"))

    assert [client.get(path).status_code for path in paths] == [200, 200, 200]


def test_links_are_for_staff_alone(client: Client) -> None:
    bob = make_user("bob")
    bob.user_permissions.add(Permission.objects.get(codename="see_metrics"))
    client.force_login(bob)

    assert "data-without-links" in client.get("/dashboard/").content.decode()


def test_side_bar_is_as_on_every_page(client: Client, carol: User) -> None:
    page = client.get("/dashboard/").content.decode()

    assert [words in page for words in ("New chat</a>", "New debate</a>", "Dashboard</a>", "Sign out")] == [True] * 4


def test_unknown_span_shows_the_day_and_is_refused_by_the_api(client: Client, carol: User) -> None:
    assert 'data-span="24h"' in client.get("/dashboard/?span=1y").content.decode()
    assert client.get("/api/dashboard/history?span=1y").status_code == 422


def test_api_tells_the_samples(client: Client, carol: User) -> None:
    make_run()

    answer = client.get("/api/dashboard").json()

    assert {"name": "queue_runs", "value": 1.0, "labels": {"host": "any"}} in answer["samples"]


def test_history_is_columns_of_one_length(client: Client, carol: User) -> None:
    now = snapshots.minute_now()
    Snapshot.objects.create(span="minute", at=now - timedelta(minutes=10), figures={"workers": 2})

    answer = client.get("/api/dashboard/history").json()

    assert (answer["span"], answer["step_seconds"], list(answer["series"])) == ("24h", 300, ["workers"])
    assert len(answer["at"]) == len(answer["series"]["workers"])


def test_page_stands_without_redis(client: Client, carol: User, redis_server: RedisServer) -> None:
    make_host(name="attic")
    redis_server.kill()

    assert client.get("/dashboard/").status_code == 200
    assert tiles()["Sockets"] == ("–", "")
    assert lines("hosts")["attic"][1] == "unknown"


def test_topic_tells_figures_and_the_page_that_shows_them() -> None:
    make_run()

    said = topics.snapshot("0")

    assert (said["type"], 'data-tile="in-line"' in said["html"]) == ("snapshot", True)
    assert {"name": "queue_runs", "value": 1, "labels": {"host": "any"}} in said["samples"]


def test_one_of_all_processes_says_the_figures_and_few_are_kept() -> None:
    client = sync_redis()
    for _ in range(3):
        topics.renew("0")
    once = client.xlen(key(topics.TOPIC))
    for _ in range(5):
        client.delete(topics.SAID)
        topics.renew("0")

    assert (once, client.xlen(key(topics.TOPIC))) == (1, topics.KEPT)


@pytest.mark.parametrize(
    ("value", "words"),
    [(0.34, "340 ms"), (2.44, "2.4 s"), (119, "119.0 s"), (180, "3 min"), (7199, "120 min"), (18_000, "5 h")],
)
def test_times_are_said_for_people(value: float, words: str) -> None:
    assert board.seconds(value) == words


def test_hosts_state_is_seen_at_a_glance() -> None:
    make_host(name="down", state=Host.State.DOWN)
    make_host(name="up")
    panel = next(each for each in board.look().panels if each.key == "hosts")

    assert {line.name: line.tone for line in panel.lines} == {"down": "failure", "up": ""}
