import fcntl
import json
import os
import resource
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from rich.console import Console

from lobby.backup import NotDone, making
from lobby.backup.steps import Steps
from tests.lobby.installations import (
    TEXT,
    address,
    database,
    execute,
    figures,
    filled_database,
    lobby,
    name_of,
    quiet,
    role,
)

pytestmark = pytest.mark.django_db  # only where a test asks for it are the tables made, which `source` copies


@pytest.fixture(scope="module")
def source(django_db_setup: None, django_db_blocker: Any) -> Iterator[str]:
    """The address of a database with a row in every table."""
    with django_db_blocker.unblock(), filled_database() as url:
        yield url


@pytest.fixture
def installation(source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Its home; the environment names its database."""
    monkeypatch.setenv("DATABASE_URL", source)
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


def manifest_in(path: Path) -> dict[str, Any]:
    with zipfile.ZipFile(path) as zipped:
        manifest: dict[str, Any] = json.loads(zipped.read("manifest.json"))
    return manifest


def test_it_holds_every_table_with_its_rows(installation: Path, source: str, tmp_path: Path) -> None:
    made = making.make(tmp_path / "all.zip", home=installation, steps=quiet())

    assert manifest_in(tmp_path / "all.zip") == made
    assert made["tables"] == figures(source)
    assert [table for table, found in made["tables"].items() if found["rows"] == 0] == []


def test_only_its_owner_can_read_it_and_nothing_lies_beside_it(installation: Path, tmp_path: Path) -> None:
    folder = tmp_path / "backups"
    folder.mkdir()
    making.make(folder / "mine.zip", home=installation, steps=quiet())

    assert [(path.name, path.stat().st_mode & 0o777) for path in folder.iterdir()] == [("mine.zip", 0o600)]


def test_it_is_of_one_moment_though_others_go_on_writing(installation: Path, source: str, tmp_path: Path) -> None:
    class Meanwhile(Steps):
        """After the counting and before the dump somebody adds a group."""

        def begin(self, what: str, **options: Any) -> None:
            if what == "Writing the backup":
                execute(source, "INSERT INTO auth_group (name) VALUES ('came later')")

    before = figures(source)["auth_group"]
    made = making.make(tmp_path / "one.zip", home=installation, steps=Meanwhile(Console(quiet=True)))
    after = figures(source)["auth_group"]
    execute(source, "DELETE FROM auth_group WHERE name = 'came later'")

    assert (made["tables"]["auth_group"], after["rows"]) == (before, before["rows"] + 1)


def test_equal_rows_have_equal_digests_and_a_changed_letter_is_seen(source: str) -> None:
    before = figures(source)["auth_user"]
    execute(source, "UPDATE auth_user SET last_name = last_name || '.'")
    changed = figures(source)["auth_user"]
    execute(source, "UPDATE auth_user SET last_name = left(last_name, -1)")

    assert figures(source)["auth_user"] == before
    assert (changed["rows"], changed["digest"] != before["digest"]) == (before["rows"], True)


def test_the_secret_key_is_in_it_only_where_asked_for(installation: Path, tmp_path: Path) -> None:
    for name, with_key in (("without", False), ("with", True)):
        making.make(tmp_path / name, home=installation, steps=quiet(), with_key=with_key)

    with zipfile.ZipFile(tmp_path / "with") as zipped:
        assert zipped.read("secret_key").decode() == os.environ["LOBBY_SECRET_KEY"]
    assert os.environ["LOBBY_SECRET_KEY"].encode() not in (tmp_path / "without").read_bytes()
    with zipfile.ZipFile(tmp_path / "without") as zipped:
        assert set(zipped.namelist()) == {"database.dump", "manifest.json"}


def test_a_file_that_is_there_is_not_written_over(installation: Path, tmp_path: Path) -> None:
    (tmp_path / "old.zip").write_text("another backup")

    with pytest.raises(NotDone, match="is there already"):
        making.make(tmp_path / "old.zip", home=installation, steps=quiet())
    assert (tmp_path / "old.zip").read_text() == "another backup"


def test_a_database_without_our_tables_is_no_installation(
    installation: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with database() as url, pytest.raises(NotDone, match="no tables of Agent Lobby"):
        monkeypatch.setenv("DATABASE_URL", url)
        making.make(tmp_path / "none.zip", home=installation, steps=quiet())
    assert not (tmp_path / "none.zip").exists()


def test_an_empty_home_has_nothing_to_back_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DATABASE_URL")

    with pytest.raises(NotDone, match="holds no database"):
        making.make(tmp_path / "none.zip", home=tmp_path, steps=quiet())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("room", [10_000, 60_000])
def test_a_full_disk_leaves_nothing_and_is_told_with_the_room_it_takes(
    installation: Path, tmp_path: Path, room: int
) -> None:
    """Full in the midst of it: no file may become larger than `room` bytes, caches of the interpreter included."""
    folder = tmp_path / "disk"
    folder.mkdir()
    env = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}  # no room for it
    done = lobby(
        *("backup", str(folder / "big.zip")),
        env=env | {"LOBBY_HOME": str(installation), "PYTHONDONTWRITEBYTECODE": "yes"},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (room, room)),
    )

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"No room for {folder}/big.zip: File too large. It may need up to ")
    assert list(folder.iterdir()) == []


def test_what_a_killed_backup_left_is_cleared_and_what_is_being_written_is_not(
    installation: Path, tmp_path: Path
) -> None:
    (tmp_path / ".lobby-backup-killed.part").write_text("half")
    with (tmp_path / ".lobby-backup-others.part").open("w") as others:
        fcntl.flock(others, fcntl.LOCK_EX)
        making.make(tmp_path / "mine.zip", home=installation, steps=quiet())

    assert {path.name for path in tmp_path.iterdir()} == {".lobby-backup-others.part", "home", "mine.zip"}


def test_rows_hidden_from_the_role_that_dumps_are_no_backup(installation: Path, source: str, tmp_path: Path) -> None:
    """Row security would leave them out without a word."""
    with role("half") as half:
        execute(source, f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {half}")
        execute(source, f"GRANT SELECT ON ALL SEQUENCES IN SCHEMA public TO {half}")
        execute(source, "ALTER TABLE auth_group ENABLE ROW LEVEL SECURITY")
        try:
            with pytest.raises(NotDone, match="could not be dumped: .*row-level security"):
                making.back_up(
                    address(name_of(source), user=half), tmp_path / "part.zip", key="", with_key=False, steps=quiet()
                )
        finally:
            execute(source, "ALTER TABLE auth_group DISABLE ROW LEVEL SECURITY", f"DROP OWNED BY {half}")
    assert list(tmp_path.glob("*.zip")) == []


def test_texts_that_look_like_commands_are_rows(source: str) -> None:
    with psycopg.connect(source) as connection:
        found = connection.execute("SELECT text FROM chat_message").fetchone()
    assert found == (TEXT,)
