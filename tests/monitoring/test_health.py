from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from threading import Event
from typing import Any

import httpx
import pytest
from django.db import connection
from django.db.models.functions import Now
from django.test import Client

from agents.models import Host, Worker
from monitoring import health
from tests.conftest import RedisServer
from tests.factories import make_host
from tests.listening import Answer, listening, replying, silent
from tests.processes import browser, web_process
from tests.waiting import wait_for

pytestmark = pytest.mark.django_db(transaction=True)

NAMES = ["database", "migrations", "worker", "host", "redis"]
LATE = "No answer within 2 s."


def make_worker(*, silent_for: int = 0) -> Worker:
    """A worker that was last seen so many seconds ago."""
    return Worker.objects.create(machine="here", pid=1, seen_at=Now() - timedelta(seconds=silent_for))


def asked_host(*, seconds_ago: int = 1, **fields: Any) -> Host:
    host = make_host(**fields)
    Host.objects.filter(pk=host.pk).update(probed_at=Now() - timedelta(seconds=seconds_ago))
    return host


def reasons(client: Client, *, hanging: str = "") -> dict[str, str]:
    """What is not well and why; that the status agrees is looked at here.

    What does not hang may miss the deadline on a slow machine: then it is asked again.
    """
    missing: dict[str, str] = {}

    def all_answer() -> bool:
        nonlocal missing
        answer = client.get("/health/ready")
        missing = {name: each["reason"] for name, each in answer.json()["checks"].items() if not each["ok"]}
        assert answer.status_code == (503 if missing else 200)
        return {name for name, reason in missing.items() if reason == LATE} <= {hanging}

    wait_for(all_answer)
    return missing


def test_all_is_well_when_a_worker_and_a_host_are_there(client: Client) -> None:
    make_worker()
    asked_host()

    answer = client.get("/health/ready")

    checks = answer.json()["checks"]
    assert (answer.status_code, answer.json()["status"], list(checks)) == (200, "ok", NAMES)
    assert {(each["ok"], each["reason"]) for each in checks.values()} == {(True, "")}
    assert "no-store" in answer["Cache-Control"]


def test_short_form_names_the_parts(client: Client) -> None:
    asked_host()

    answer = client.get("/health")

    expected = {"database": True, "migrations": True, "worker": False, "host": True, "redis": True}
    assert (answer.status_code, answer.json()) == (503, {"status": "failing", "checks": expected})


@pytest.mark.parametrize("silent_for", [None, 16])
def test_worker_that_is_missing_or_silent_for_longer_than_its_lease_is_told(
    client: Client, silent_for: int | None
) -> None:
    asked_host()
    if silent_for:
        make_worker(silent_for=silent_for)

    assert reasons(client) == {"worker": "No worker was seen in the last 15 s."}


@pytest.mark.parametrize("fields", [{"is_enabled": False}, {"is_draining": True}])
def test_host_that_takes_nothing_does_not_count(client: Client, fields: dict[str, Any]) -> None:
    make_worker()
    asked_host(**fields)

    assert reasons(client) == {"host": "No model host is switched on."}


def test_host_that_was_found_down_does_not_count(client: Client) -> None:
    make_worker()
    asked_host(state=Host.State.DOWN)

    assert reasons(client) == {"host": "No model host answers, of 1."}


VERSION = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 21\r\n\r\n{"version":"0.12.10"}'
HTML = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\n<html>"


@pytest.mark.parametrize(("answer", "is_well"), [(replying(VERSION), True), (replying(HTML), False), (silent, False)])
def test_hosts_that_nobody_asked_lately_are_asked(client: Client, answer: Answer, is_well: bool) -> None:
    """As when beat is away: what was found long ago says nothing."""
    make_worker()
    with listening(silent) as hanging, listening(answer) as listener:
        asked_host(base_url=hanging.url, seconds_ago=70)
        asked_host(base_url=listener.url, seconds_ago=70)
        missing = reasons(client)

    assert missing == ({} if is_well else {"host": "No model host answers, of 2."})


def test_migration_that_is_not_applied_is_told(client: Client) -> None:
    make_worker()
    asked_host()
    with connection.cursor() as cursor:
        cursor.execute("UPDATE django_migrations SET app = 'gone' WHERE app = 'agents' AND name = '0001_initial'")
        missing = reasons(client)
        cursor.execute("UPDATE django_migrations SET app = 'agents' WHERE app = 'gone'")

    assert missing == {"migrations": "Migrations that are not applied: 1. Run `python manage.py first_run`."}


def test_database_without_tables_is_told(client: Client) -> None:
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE django_migrations RENAME TO elsewhere")
        missing = reasons(client)["migrations"]
        cursor.execute("ALTER TABLE elsewhere RENAME TO django_migrations")

    assert missing == "The database lacks tables. Run `python manage.py first_run`."


def test_being_alive_needs_nothing(client: Client, django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(0):
        answer = client.get("/health/live")

    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


@pytest.mark.parametrize("path", ["/health", "/health/live", "/health/ready"])
def test_probes_come_by_plain_http_under_any_name(client: Client, settings: Any, path: str) -> None:
    settings.SECURE_SSL_REDIRECT = True

    assert client.get(path, HTTP_HOST="10.1.2.3:8000").status_code in (200, 503)
    assert client.post(path).status_code == 405


def test_redis_that_hangs_is_told_and_the_rest_as_well(client: Client, redis_server: RedisServer) -> None:
    make_worker()
    asked_host()
    with redis_server.stopped():
        missing = reasons(client, hanging="redis")

    assert (missing, reasons(client)) == ({"redis": LATE}, {})


def test_redis_that_is_away_is_told(client: Client, redis_server: RedisServer) -> None:
    make_worker()
    asked_host()
    redis_server.kill()

    assert reasons(client) == {"redis": "Redis can't be reached."}


def test_web_process_tells_of_what_hangs_while_all_its_threads_wait_for_it() -> None:
    """A database and a Redis that take connections and never answer; ten pages wait for them."""
    with listening(silent) as hanging:
        place = f"127.0.0.1:{hanging.port}"
        env = {"DATABASE_URL": f"postgresql://{place}/lobby", "REDIS_URL": f"redis://{place}/0"}
        with web_process(env=env) as web, ThreadPoolExecutor(10) as pool:
            pages = [pool.submit(ask, f"{web.url}/") for _ in range(10)]
            wait_for(lambda: all(page.running() for page in pages))
            told, live = browser.get(f"{web.url}/health/ready"), browser.get(f"{web.url}/health/live")
            web.process.kill()

    assert (told.status_code, live.status_code) == (503, 200)
    assert {name: each["reason"] for name, each in told.json()["checks"].items()} == dict.fromkeys(NAMES, LATE)


def ask(url: str) -> None:
    """As somebody who is signed in, so that the database is asked; it does not answer."""
    with suppress(httpx.TransportError):
        httpx.get(url, cookies={"sessionid": "x" * 32}, timeout=120, trust_env=False)


def test_who_asks_while_a_check_hangs_shares_its_answer() -> None:
    calls, over = [], Event()

    def check() -> None:
        calls.append(1)
        over.wait(120)

    line = health.Line(part=check)
    first, second = line.begin(), line.begin()
    late = first(0.05)
    over.set()
    answers = [first(60), second(60)]

    assert (len(calls), late["part"].reason) == (1, LATE)
    assert [each["part"].is_well for each in answers] == [True, True]
    assert line.begin()(60)["part"].is_well
    assert len(calls) == 2
