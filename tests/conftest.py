"""The suite runs on a real PostgreSQL and a real Valkey of its own, on data that is thrown away."""

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from secrets import token_urlsafe
from socket import socket
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest
from hypothesis import HealthCheck, settings

from lobby.embedded import postgres, valkey
from lobby.embedded.child import Child, is_gone
from tests.ports import reserve

# The same examples every time, however long the machine takes for one
settings.register_profile("suite", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("suite")

started: list[Child] = []
held: list[socket] = []
home = Path()


def pytest_configure(config: pytest.Config) -> None:
    """Before the settings are read, which pytest-django leaves to the first who imports them."""
    global home
    if config.getoption("numprocesses", None):  # it only hands tests out to processes that each do this for themselves
        return
    home = Path(tempfile.mkdtemp(prefix="lobby-test-"))
    database = postgres.start(home, durable=False)
    started.append(database)
    held.append(reserve())  # a test may kill it, and nobody is to take its port meanwhile
    redis = valkey.start(home, durable=False, address=(held[0].getsockname()[1], token_urlsafe()))
    started.append(redis)
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # the processes that tests start compile once, not each anew
    os.environ.update(
        DJANGO_SETTINGS_MODULE="lobby.settings",
        DATABASE_URL=database.url,
        REDIS_URL=redis.url,
        LOBBY_HOME=str(home),
        LOBBY_SECRET_KEY="a key for tests alone",
        OLLAMA_HOST="http://127.0.0.1:9",  # the discard port: no test reaches a model by accident
    )
    import django  # not before its settings can be read

    django.setup()

    from django.db import connections

    connections.settings["default"]["CONN_MAX_AGE"] = 0  # no thread keeps a connection that the teardown would meet


def pytest_unconfigure() -> None:
    for server in reversed(started):
        server.stop()
    for port in held:
        port.close()
    if started:  # else pytest gave up before it was configured, and `home` is the current folder
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="session", autouse=True)
def nothing_left_running() -> Iterator[None]:
    """A test that leaves a process behind fails the suite."""
    yield
    ours = {server.pid for server in started}
    left = [process for process in psutil.Process().children() if process.pid not in ours]
    assert [process.cmdline() for process in left if not is_gone(process.pid)] == []


# What Django would empty, too, and then make again row by row, which takes longer than most tests
MADE_BY_MIGRATIONS = ("django_migrations", "django_content_type", "auth_permission")
USED = """
SELECT relname, pg_relation_size(oid) > 1000000 FROM pg_class
 WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND pg_relation_size(oid) > 0 AND relname <> ALL(%s)
"""


@pytest.fixture(scope="session", autouse=True)
def empty_tables() -> Iterator[None]:
    """After a test that commits. Row by row: to truncate a hundred tables and their indexes takes ten times as long.
    As a replica does it, which fires no trigger: neither references nor the audit trail hinder it."""
    from django.db import connection
    from django.test import TransactionTestCase

    from lobby.accounts.permissions import ensure_everybody

    def empty(_: TransactionTestCase) -> None:
        with connection.cursor() as cursor:
            cursor.execute(USED, [list(MADE_BY_MIGRATIONS)])
            used = dict(cursor.fetchall())
            deletes = "".join(f"DELETE FROM {name}; " for name in used)
            cursor.execute(f"SET session_replication_role = replica; {deletes}RESET session_replication_role")
            for name in (name for name, is_large in used.items() if is_large):
                cursor.execute(f"VACUUM {name}")
        ensure_everybody()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TransactionTestCase, "_fixture_teardown", empty)
        yield


@pytest.fixture(autouse=True)
def empty_redis() -> Iterator[None]:
    import redis

    with redis.Redis.from_url(os.environ["REDIS_URL"]) as client:
        client.flushall()
    yield


@pytest.fixture(autouse=True)
def not_at_midnight() -> None:
    """What a test counts by days is not to begin anew in the middle of it."""
    from tests.waiting import wait_for

    wait_for(lambda: timedelta(seconds=60) < until_midnight(), seconds=120)


def until_midnight() -> timedelta:
    now = datetime.now(UTC)
    return now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1) - now


@pytest.fixture(autouse=True)
def limits_unread() -> None:
    """What the test before set is gone from the tables, and from memory."""
    from lobby.accounts import allowances, marks, permissions, second_factor

    allowances.forget()
    marks.forget()
    permissions.forget()
    second_factor.forget()


class RedisServer:
    """The suite's Valkey, which a test may kill and start again at the same address."""

    def kill(self) -> None:
        os.kill(started[-1].pid, signal.SIGKILL)
        started[-1].await_end(patience=30)

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """It takes connections and answers nothing, as a process does that hangs."""
        found = psutil.Process(started[-1].pid)
        servers = [found, *found.children(recursive=True)]
        for server in servers:
            server.suspend()
        try:
            yield
        finally:
            for server in servers:
                server.resume()

    def start(self) -> None:
        address = urlsplit(os.environ["REDIS_URL"])
        started[-1] = valkey.start(home, durable=False, address=(address.port or 0, address.password or ""))


@pytest.fixture
def redis_server() -> Iterator[RedisServer]:
    server = RedisServer()
    yield server
    if is_gone(started[-1].pid):
        server.start()


@pytest.fixture(autouse=True)
def quick_passwords(settings: Any) -> None:
    """A second of hashing per user is no good to a test; servers in other processes read these hashes as well."""
    settings.PASSWORD_HASHERS = ["tests.factories.QuickHasher"]
