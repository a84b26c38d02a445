import json
import os
import shutil
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from lobby.backup import NotDone, making, restoring
from lobby.embedded import postgres
from lobby.embedded.home import locked
from tests.lobby.installations import (
    database,
    databases,
    execute,
    figures,
    filled_database,
    lobby,
    migrate,
    name_of,
    on_server,
    quiet,
    role,
)

pytestmark = pytest.mark.django_db  # only where a test asks for it are the tables made, which `source` copies

Restore = Callable[..., list[str]]


@pytest.fixture(scope="module")
def source(django_db_setup: None, django_db_blocker: Any) -> Iterator[str]:
    """The address of a database with a row in every table."""
    with django_db_blocker.unblock(), filled_database() as url:
        yield url


@pytest.fixture(scope="module")
def backup(source: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("backups") / "all.zip"
    making.back_up(source, path, key=os.environ["LOBBY_SECRET_KEY"], with_key=True, steps=quiet())
    return path


@pytest.fixture
def target() -> Iterator[str]:
    """The address of an empty database."""
    with database() as url:
        yield url


@pytest.fixture
def restore(target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Restore:
    """Restores into the target; returns what was said."""

    def restore_one(path: Path, *, into: str = target, replace: bool = False) -> list[str]:
        monkeypatch.setenv("DATABASE_URL", into)
        said: list[str] = []
        restoring.restore(path, home=tmp_path / "home", replace=replace, steps=quiet(), say=said.append)
        return said

    return restore_one


def altered(backup: Path, path: Path, **changes: Any) -> Path:
    """The same backup with another manifest."""
    with zipfile.ZipFile(backup) as old, zipfile.ZipFile(path, "w") as new:
        manifest = json.loads(old.read("manifest.json")) | changes
        for name in old.namelist():
            new.writestr(name, json.dumps(manifest) if name == "manifest.json" else old.read(name))
    return path


def manifest_of(backup: Path) -> dict[str, Any]:
    with zipfile.ZipFile(backup) as zipped:
        manifest: dict[str, Any] = json.loads(zipped.read("manifest.json"))
    return manifest


# Into an empty installation


def test_every_table_comes_back_row_by_row(restore: Restore, backup: Path, source: str, target: str) -> None:
    before = databases()

    said = restore(backup)

    found = figures(target)
    assert found == figures(source) == manifest_of(backup)["tables"]
    assert min(table["rows"] for table in found.values()) > 0
    assert (said, databases()) == ([], before)


def test_what_the_tables_refuse_they_refuse_again(restore: Restore, backup: Path, target: str) -> None:
    """Constraints, indexes and triggers are back: here the one that keeps the audit trail."""
    restore(backup)

    with pytest.raises(psycopg.errors.RaiseException, match="append-only"):
        execute(target, "DELETE FROM monitoring_auditevent")
    with psycopg.connect(target) as connection:
        connection.execute("INSERT INTO auth_group (name) VALUES ('new')")  # with the next number


def test_an_installation_that_nobody_has_used_is_empty(restore: Restore, backup: Path, target: str) -> None:
    """As it is after a first start: tables, agents and an admin who has never signed in."""
    restore(backup)
    execute(
        target,
        "TRUNCATE agents_run, chat_conversation, debates_debate CASCADE",
        "UPDATE auth_user SET last_login = NULL",
    )

    restore(backup)

    assert figures(target) == manifest_of(backup)["tables"]


def test_what_a_killed_restore_left_is_cleared(restore: Restore, backup: Path, target: str) -> None:
    before = databases()
    with on_server() as server:
        for left in ("restoring", "replaced"):
            server.execute(f"CREATE DATABASE {name_of(target)}_{left}")

    restore(backup)

    assert (figures(target), databases()) == (manifest_of(backup)["tables"], before)


# Where there is data


def test_an_installation_in_use_is_not_replaced_unasked(
    restore: Restore, backup: Path, target: str, tmp_path: Path
) -> None:
    restore(backup)
    execute(target, "UPDATE auth_user SET first_name = 'since'")
    before = figures(target)

    with pytest.raises(NotDone, match="This installation is in use: --replace"):
        restore(backup)
    assert figures(target) == before
    assert not (tmp_path / "home").exists()


def test_what_is_replaced_is_backed_up_first(restore: Restore, backup: Path, target: str, tmp_path: Path) -> None:
    restore(backup)
    execute(target, "UPDATE auth_user SET first_name = 'since'")
    before = figures(target)

    [said] = restore(backup, replace=True)
    [kept] = (tmp_path / "home/backups").iterdir()

    assert said == f"What was there until now is kept in {kept}, secret key included."
    assert figures(target) == manifest_of(backup)["tables"] != before
    restore(kept, replace=True)
    assert figures(target) == before


def test_nothing_is_changed_under_people_who_are_connected(restore: Restore, backup: Path, target: str) -> None:
    with psycopg.connect(target), pytest.raises(NotDone, match=r"Others are connected to the database \(1\)"):
        restore(backup)
    assert figures(target) == {}


@pytest.mark.parametrize("schema", ["public", "others"])
def test_a_database_of_somebody_else_is_left_alone(restore: Restore, backup: Path, target: str, schema: str) -> None:
    execute(target, "CREATE SCHEMA IF NOT EXISTS others", f"CREATE TABLE {schema}.invoices (id int)")

    with pytest.raises(NotDone, match="holds what is not Agent Lobby's .*invoices"):
        restore(backup, replace=True)
    execute(target, f"INSERT INTO {schema}.invoices VALUES (1)")


# Files that are none


def cut(backup: Path, path: Path) -> Path:
    path.write_bytes(backup.read_bytes()[: backup.stat().st_size // 2])
    return path


def cut_by_a_byte(backup: Path, path: Path) -> Path:
    path.write_bytes(backup.read_bytes()[:-1])
    return path


def with_a_wrong_bit(backup: Path, path: Path) -> Path:
    content = bytearray(backup.read_bytes())
    content[5000] ^= 1
    path.write_bytes(content)
    return path


def empty(backup: Path, path: Path) -> Path:
    path.touch()
    return path


def somebody_elses_zip(backup: Path, path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as zipped:
        zipped.writestr("photo.jpg", b"...")
    return path


def with_another_dump(backup: Path, path: Path) -> Path:
    """Whole as a zip, but not what the manifest says."""
    with zipfile.ZipFile(backup) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            new.writestr(name, old.read(name)[:-1] if name == "database.dump" else old.read(name))
    return path


def with_senseless_manifest(backup: Path, path: Path) -> Path:
    return altered(backup, path, tables=["agents_run"])


def with_a_file_more(backup: Path, path: Path) -> Path:
    shutil.copy(backup, path)
    with zipfile.ZipFile(path, "a") as zipped:
        zipped.writestr("../../etc/cron.d/more", "")
    return path


def of_a_newer_layout(backup: Path, path: Path) -> Path:
    return altered(backup, path, version=2)


def of_a_newer_lobby(backup: Path, path: Path) -> Path:
    return altered(backup, path, migrations=[*manifest_of(backup)["migrations"], "agents.0999_minds"])


def of_a_newer_pg_dump(backup: Path, path: Path) -> Path:
    return altered(backup, path, pg_dump="19.1")


def of_a_newer_server(backup: Path, path: Path) -> Path:
    return altered(backup, path, postgres=190001)


def with_other_figures(backup: Path, path: Path) -> Path:
    tables = manifest_of(backup)["tables"]
    return altered(backup, path, tables=tables | {"auth_user": {"rows": 1, "digest": "0" * 32}})


@pytest.mark.parametrize(
    "wrong",
    [
        (cut, "no backup of Agent Lobby, or only a part of one"),
        (cut_by_a_byte, "no backup of Agent Lobby, or only a part of one"),
        (with_a_wrong_bit, "or damaged: Bad CRC-32 for file 'database.dump'"),
        (empty, "no backup of Agent Lobby, or only a part of one"),
        (somebody_elses_zip, "no backup of Agent Lobby: it holds no manifest of one"),
        (with_another_dump, "is damaged: database.dump is not what was written"),
        (with_senseless_manifest, "holds a manifest that makes no sense"),
        (with_a_file_more, "does not hold the files that its manifest names"),
        (of_a_newer_layout, "newer Agent Lobby .*: update this installation first"),
        (of_a_newer_lobby, "this one does not know agents.0999_minds. Update this installation first"),
        (of_a_newer_pg_dump, "written by the pg_dump of PostgreSQL 19.1"),
        (of_a_newer_server, "of PostgreSQL 19 and this server is 18"),
        (with_other_figures, "not what was backed up, in auth_user. Nothing was changed"),
    ],
)
def test_what_cannot_be_trusted_is_refused_and_nothing_changes(
    restore: Restore, backup: Path, target: str, tmp_path: Path, wrong: tuple[Callable[[Path, Path], Path], str]
) -> None:
    (made, reason), before = wrong, databases()

    with pytest.raises(NotDone, match=reason):
        restore(made(backup, tmp_path / "other.zip"), replace=True)
    assert (figures(target), databases()) == ({}, before)


def test_a_file_that_is_not_there_is_named(restore: Restore, tmp_path: Path) -> None:
    with pytest.raises(NotDone, match=r"none\.zip can't be read: No such file or directory"):
        restore(tmp_path / "none.zip")


# Older ones


@pytest.fixture
def older(backup: Path, source: str, tmp_path: Path, django_db_blocker: Any) -> Path:
    """A backup that was made before old runs' prompts had an index."""
    with database(like=name_of(source)) as url:
        with django_db_blocker.unblock():
            migrate(url, app="agents", to="0004_draining")
        assert not has_index(url)
        making.back_up(url, tmp_path / "older.zip", key="", with_key=False, steps=quiet())
    return tmp_path / "older.zip"


def test_an_older_backup_is_brought_up_to_date(restore: Restore, backup: Path, older: Path, target: str) -> None:
    restore(older)

    then, now = manifest_of(older), manifest_of(backup)
    with psycopg.connect(target) as connection:
        applied = connection.execute("SELECT app || '.' || name FROM django_migrations ORDER BY 1").fetchall()
    assert then["migrations"] != now["migrations"] == sorted(name for (name,) in applied)
    assert figures(target)["chat_message"] == now["tables"]["chat_message"]
    assert has_index(target)


def has_index(url: str) -> bool:
    with psycopg.connect(url) as connection:
        found = connection.execute("SELECT to_regclass('public.run_with_prompt') IS NOT NULL").fetchone()
    return bool(found and found[0])


# Where no database may be made


@pytest.fixture
def plain() -> Iterator[str]:
    """The address of an empty database whose owner may make no other."""
    with role("plain") as owner, database(owner=owner) as url:
        yield url


def test_without_the_right_to_make_databases_it_is_one_transaction(
    restore: Restore, backup: Path, plain: str, tmp_path: Path
) -> None:
    restore(backup, into=plain)
    assert figures(plain) == manifest_of(backup)["tables"]

    execute(plain, "UPDATE auth_user SET first_name = 'since'", "CREATE TABLE left_over (id int)")
    before = figures(plain)
    with pytest.raises(NotDone, match="not what was backed up, in auth_user"):
        restore(with_other_figures(backup, tmp_path / "wrong.zip"), into=plain, replace=True)
    assert figures(plain) == before

    restore(backup, into=plain, replace=True)
    assert figures(plain) == manifest_of(backup)["tables"]


def test_a_database_with_rights_of_its_own_keeps_them(restore: Restore, backup: Path, target: str) -> None:
    execute(target, f"REVOKE CONNECT ON DATABASE {name_of(target)} FROM PUBLIC")

    restore(backup)

    with psycopg.connect(target) as connection:
        rights = connection.execute("SELECT datacl FROM pg_database WHERE datname = current_database()").fetchone()
    assert rights is not None and rights[0] is not None
    assert figures(target) == manifest_of(backup)["tables"]


# The embedded database, by the command


def test_a_home_is_restored_and_backed_up_stopped_and_running(
    backup: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, key, rows = tmp_path / "home", os.environ["LOBBY_SECRET_KEY"], manifest_of(backup)["tables"]
    for name in ("DATABASE_URL", "LOBBY_SECRET_KEY"):
        monkeypatch.delenv(name)

    restored = lobby("restore", str(backup), env=os.environ | {"LOBBY_HOME": str(home)})
    assert (restored.returncode, restored.stderr) == (0, "")
    assert f"The backup's secret key is now in {home}/secret_key." in restored.stdout
    assert ((home / "secret_key").read_text(), (home / "secret_key").stat().st_mode & 0o777) == (key, 0o600)

    stopped = making.make(tmp_path / "stopped.zip", home=home, steps=quiet())
    with locked(home, address="http://127.0.0.1:1"):
        server = postgres.start(home, durable=False)
        try:
            running = making.make(tmp_path / "running.zip", home=home, steps=quiet())
            with pytest.raises(NotDone, match="Agent Lobby runs at http://127.0.0.1:1 .*Stop it first"):
                restoring.restore(backup, home=home, replace=True, steps=quiet(), say=print)
        finally:
            server.stop()
    assert stopped["tables"] == running["tables"] == rows
    assert stopped["key"] == manifest_of(backup)["key"]
