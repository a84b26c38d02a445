"""What monitoring.figures.collect tells, from real rows and a real Redis."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import orjson
import pytest
from django.db.models.functions import Now

from agents.breaker import KEY as BREAKERS
from agents.models import Host, Run, Worker
from debates.models import Debate
from lobby.live import reports, tally
from lobby.live.connections import sync_redis
from monitoring import beats, figures
from tests.conftest import RedisServer
from tests.factories import alice, make_host, make_run

pytestmark = pytest.mark.django_db


def told(name: str, **labels: str) -> float | None:
    """The value of one sample; None if there is none."""
    found = [each.value for each in figures.collect() if (each.name, each.labels) == (name, labels)]
    return found[0] if found else None


def all_of(name: str) -> dict[str, float]:
    """Every sample of the name, by its only label."""
    return {next(iter(each.labels.values())): each.value for each in figures.collect() if each.name == name}


def ended(status: str = Run.Status.DONE, *, seconds: int = 10, **fields: Any) -> Run:
    """A run that ended so many seconds ago."""
    return make_run(status=status, finished_at=Now() - timedelta(seconds=seconds), **fields)


def test_waiting_runs_are_told_by_host_with_the_age_of_the_oldest() -> None:
    host = make_host(name="attic")
    make_run(wanted_host=host, queued_at=Now() - timedelta(seconds=90))
    make_run()
    make_run()

    assert all_of("queue_runs") == {"attic": 1, "any": 2}
    assert told("queue_oldest_seconds") == pytest.approx(90, abs=30)


def test_running_runs_are_told_by_host() -> None:
    host = make_host(name="attic", max_parallel=4)
    make_run(status=Run.Status.RUNNING, host=host)

    assert (all_of("runs_running"), all_of("host_slots")) == ({"attic": 1}, {"attic": 4})


def test_failures_are_a_share_of_what_was_judged_in_the_last_five_minutes() -> None:
    ended()
    ended(seconds=200)
    ended(Run.Status.FAILED, error_kind="model_missing")
    ended(Run.Status.INTERRUPTED, error_kind="host_unreachable")
    ended(Run.Status.CANCELLED)
    ended(Run.Status.FAILED, error_kind="model_missing", seconds=400)

    assert told("failure_ratio") == 0.5
    assert all_of("run_failures") == {"model_missing": 1, "host_unreachable": 1}
    assert all_of("runs_finished") == {"done": 1, "failed": 1, "cancelled": 1, "interrupted": 1}


def test_tokens_of_the_last_minute_are_told_per_second() -> None:
    ended(output_tokens=90)
    ended(output_tokens=30)
    ended(output_tokens=1000, seconds=90)

    assert told("tokens_per_second") == 2.0


def test_first_token_counts_from_the_question() -> None:
    for seconds in (1, 2, 3):
        queued = Now() - timedelta(seconds=60)
        ended(queued_at=queued, first_token_at=Now() - timedelta(seconds=60 - seconds))

    assert told("first_token_seconds", quantile="0.5") == pytest.approx(2)
    assert told("first_token_seconds", quantile="0.95") == pytest.approx(2.9)


def test_nothing_answered_is_no_figure_of_first_tokens() -> None:
    assert (all_of("first_token_seconds"), told("failure_ratio")) == ({}, 0.0)


def test_hosts_are_up_or_down_and_those_switched_off_are_left_out() -> None:
    make_host(name="up")
    make_host(name="down", state=Host.State.DOWN)
    make_host(name="new", state=Host.State.UNKNOWN)
    make_host(name="off", is_enabled=False)

    assert all_of("host_up") == {"up": 1, "down": 0}
    assert all_of("host_breaker_state") == {"down": 0, "new": 0, "up": 0}


@pytest.mark.parametrize(
    ("open_until", "expected"), [(0.0, figures.CLOSED), (1.0, figures.HALF_OPEN), (9e9, figures.OPEN)]
)
def test_breakers_are_told_as_numbers(open_until: float, expected: int) -> None:
    host = make_host(name="attic")
    state = {"window": [], "open_until": open_until, "trips": 1}
    sync_redis().hset(BREAKERS, str(host.pk), orjson.dumps(state).decode())

    assert all_of("host_breaker_state") == {"attic": expected}


def test_workers_are_counted_with_the_longest_silence() -> None:
    Worker.objects.create(machine="here", pid=1)
    Worker.objects.create(machine="here", pid=2, seen_at=Now() - timedelta(seconds=40))

    assert told("workers") == 2
    assert told("worker_oldest_seconds") == pytest.approx(40, abs=30)


def test_debates_under_way_and_labels_of_the_last_day() -> None:
    kinds = {"question": "Why?", "protocol": "round-table", "rule": "plurality", "owner": alice()}
    Debate.objects.create(**kinds)
    for label, hours in (("robust", 1), ("robust", 2), ("hollow", 3), ("robust", 30)):
        past = Now() - timedelta(hours=hours)
        Debate.objects.create(**kinds, status=Debate.Status.ENDED, ended_at=past, verdict={"label": label})
    Debate.objects.create(**kinds, status=Debate.Status.ENDED, ended_at=Now())

    assert (told("debates_running"), all_of("debates_ended")) == (1, {"robust": 2, "hollow": 1, "none": 1})


def test_web_processes_are_added_up_and_the_dead_forgotten() -> None:
    client = sync_redis()
    for key, report in (("lobby:web:1", {"connections": 3, "requests": 1.5}), ("lobby:web:2", {"connections": 4.0})):
        client.set(key, orjson.dumps(report))
        client.sadd(reports.PROCESSES, key)
    client.sadd(reports.PROCESSES, "lobby:web:dead")

    assert (told("ws_connections"), told("requests_per_second")) == (7, 1.5)
    assert client.smembers(reports.PROCESSES) == {b"lobby:web:1", b"lobby:web:2"}


def test_reaped_runs_and_limits_hit_are_counted() -> None:
    tally.count("runs_reaped", 2)
    tally.count("runs_reaped")
    tally.count("limits_hit", 0)

    assert (told("runs_reaped"), told("limits_hit")) == (3, 0)


def test_beat_is_silent_until_it_sends_something() -> None:
    assert told("beat_silent_seconds") == beats.REMEMBERED
    beats.mark()
    assert told("beat_silent_seconds") == pytest.approx(0, abs=30)


def test_machine_and_servers_are_measured() -> None:
    sizes = {name: told(name) or 0 for name in ("database_connections", "database_bytes", "redis_bytes")}

    assert (min(sizes.values()) >= 1, 0 < (told("disk_free_ratio") or 0) < 1) == (True, True)


def test_without_redis_the_database_still_tells(redis_server: RedisServer) -> None:
    make_run(subject=None, topic=f"chat:{uuid4()}")
    tally.count("runs_reaped")
    redis_server.kill()
    tally.count("runs_reaped")

    assert (all_of("queue_runs"), told("redis_bytes"), told("runs_reaped")) == ({"any": 1}, None, None)


def test_rates_are_what_came_per_second_over_the_last_looks() -> None:
    rates = reports.Rates()

    said = [rates.look(now=now, counted={"requests": number})["requests"] for now, number in ((0, 5), (2, 9), (4, 9))]

    assert said == [0.0, 2.0, 1.0]
