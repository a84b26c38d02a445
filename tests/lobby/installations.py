"""Whole databases for the tests of backup and restore: one with a row in every table, and empty ones beside it."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from itertools import count
from typing import Any
from uuid import uuid4

import psycopg
import psycopg.conninfo
from django.apps import apps
from django.contrib.postgres.fields import ArrayField
from django.db import connection, connections, models
from django.db.migrations.executor import MigrationExecutor
from psycopg import sql
from rich.console import Console

from lobby.backup import contents
from lobby.backup.contents import Figures
from lobby.backup.steps import Steps
from lobby.embedded.programs import PROJECT
from tests.waiting import wait_for

ALIAS = "installation"
# What a dump has to write in a special way
TEXT = "\\. \\N \\\\ tab\t line\n return\r 'quoted' \"twice\" ünïcödé 🦊\nCOPY public.x (y) FROM stdin;\n\\.\nend"
VALUES: dict[Any, Any] = {
    models.TextField: TEXT,
    models.JSONField: {"text": TEXT, "deep": [1, 0.1 + 0.2, None, {"": []}]},
    models.BooleanField: True,
    models.FloatField: 0.1 + 0.2,
    models.IntegerField: 7,
    models.DateTimeField: datetime(2026, 2, 28, 23, 59, 59, 999999, tzinfo=UTC),
    models.DateField: date(2026, 2, 28),
    models.GenericIPAddressField: "2001:db8::1",
    models.BinaryField: b"\x00\xff\\",
}
numbers = count(1)


def quiet() -> Steps:
    return Steps(Console(quiet=True))


@contextmanager
def database(*, like: str = "template0", owner: str = "lobby") -> Iterator[str]:
    """The address of a new database on the suite's server, empty or a copy of another one; dropped at the end."""
    name = f"installation_{os.getpid()}_{next(numbers)}"
    with on_server() as server:
        wait_for(lambda: is_left(like, server))
        server.execute(f"CREATE DATABASE {name} TEMPLATE {like} OWNER {owner}")
    try:
        yield address(name, user=owner)
    finally:
        with on_server() as server:
            server.execute(f"DROP DATABASE {name} WITH (FORCE)")


def is_left(name: str, server: psycopg.Connection) -> bool:
    """By all who were in the database: on a slow machine they take a moment after they were told to go."""
    return not server.execute("SELECT 1 FROM pg_stat_activity WHERE datname = %s", [name]).fetchall()


@contextmanager
def on_server() -> Iterator[psycopg.Connection]:
    with psycopg.connect(address("postgres"), autocommit=True) as server:
        yield server


@contextmanager
def role(kind: str) -> Iterator[str]:
    """A role that may sign in and no more."""
    name = f"{kind}_{os.getpid()}_{next(numbers)}"
    with on_server() as server:
        server.execute(f"CREATE ROLE {name} LOGIN")
        yield name
        server.execute(f"DROP ROLE {name}")


def address(name: str, *, user: str = "lobby") -> str:
    return psycopg.conninfo.make_conninfo(os.environ["DATABASE_URL"], dbname=name, user=user)


def databases() -> set[str]:
    with on_server() as server:
        return {name for (name,) in server.execute("SELECT datname FROM pg_database")}


def name_of(url: str) -> str:
    return str(psycopg.conninfo.conninfo_to_dict(url)["dbname"])


@contextmanager
def filled_database() -> Iterator[str]:
    """With our tables, and a row in each of them."""
    template = connection.settings_dict["NAME"]
    connection.close()  # nobody may be in a database that is copied
    with database(like=template) as url:
        with known_to_django(url):
            for model in apps.get_models(include_auto_created=True):
                if model._meta.managed:  # else it has no table
                    row_of(model)
        yield url


@contextmanager
def known_to_django(url: str) -> Iterator[None]:
    connections.databases[ALIAS] = connection.settings_dict | {"NAME": name_of(url)}
    try:
        yield
    finally:
        connections[ALIAS].close()
        del connections[ALIAS], connections.databases[ALIAS]


def migrate(url: str, *, app: str, to: str) -> None:
    """Forward or back, with all that depends on it."""
    with known_to_django(url):
        MigrationExecutor(connections[ALIAS]).migrate([(app, to)])


def row_of(model: type[models.Model]) -> Any:
    """One that is there, or a new one whose every column that has no default of its own holds something."""
    rows = model._base_manager.using(ALIAS)
    found = rows.order_by("pk").first()
    if found:
        return found
    row = model(**{field.attname: value_for(field) for field in model._meta.concrete_fields if is_needed(field)})
    models.Model.save(row, using=ALIAS, force_insert=True)
    return row


def is_needed(field: Any) -> bool:
    is_made = isinstance(field, models.AutoField) or field.has_default() or field.has_db_default()
    return not (is_made or field.null)


def value_for(field: Any) -> Any:
    if field.remote_field:
        return row_of(field.related_model).pk
    if field.choices:
        return field.flatchoices[0][0]
    if isinstance(field, ArrayField):
        return ["a,b", '"', "\\"]
    if isinstance(field, models.UUIDField):
        return uuid4()
    if isinstance(field, models.CharField):
        return TEXT[: field.max_length]
    return next(value for kind, value in VALUES.items() if isinstance(field, kind))


def figures(url: str) -> Figures:
    with psycopg.connect(url) as connection:
        return contents.measure(connection, schema="public")


def execute(url: str, *statements: str) -> None:
    with psycopg.connect(url) as connection:
        for statement in statements:
            connection.execute(sql.SQL(statement))


def lobby(*words: str, env: dict[str, str], **options: Any) -> subprocess.CompletedProcess[str]:
    """The command, in a process of its own."""
    command = [sys.executable, "-m", "lobby.cli", *words]
    return subprocess.run(
        command, cwd=PROJECT, env=env, capture_output=True, text=True, timeout=250, check=False, **options
    )
