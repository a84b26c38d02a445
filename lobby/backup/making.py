"""Making a backup: figures and dump of one snapshot of the database, in one file, read back before it gets its name."""

import hmac
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import IO

import psycopg

from lobby.backup import NotDone, archive, contents, loading, place
from lobby.backup.archive import Facts, Hashing, Manifest
from lobby.backup.steps import Steps
from lobby.embedded import dumps
from lobby.embedded.dumps import DumpFailed
from lobby.embedded.given import one_line

MANIFEST_ROOM = 1024 * 1024  # bytes, more than enough
# The others belong to the server: a restore into another one has no right to them, and no need
KEPT_EXTENSIONS = {"plpgsql", "vector"}


def make(path: Path, *, home: Path, steps: Steps, with_key: bool = False) -> Manifest:
    """Back the installation up into `path`; returns the manifest.

    Raises NotDone, StartFailed.
    """
    if path.exists():
        raise NotDone(f"{path} is there already: name another file, or move it away.")
    if not path.parent.is_dir():
        raise NotDone(f"{path.parent} is no folder.")
    with place.database(home, doing=steps.begin) as url:
        return back_up(url, path, key=place.secret_key(home), with_key=with_key, steps=steps)


def back_up(url: str, path: Path, *, key: str, with_key: bool, steps: Steps) -> Manifest:
    """The same, of the database at `url`. `key` is the installation's secret key."""
    try:
        with psycopg.connect(url, autocommit=True) as connection:
            check_server(connection)
            connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            sizes = contents.sizes(connection, schema=contents.schema_of(connection))
            if "django_migrations" not in sizes:
                raise NotDone("Nothing to back up: the database has no tables of Agent Lobby.")
            steps.begin("Counting rows", total=len(sizes), unit="tables")
            manifest = described(connection, key=key, steps=steps)
            with archive.drafted(path, most=sum(sizes.values()) + MANIFEST_ROOM) as file:
                steps.begin("Writing the backup")
                add = partial(add_dump, connection=connection, url=url, steps=steps)
                write(file, manifest, add_dump=add, key=key if with_key else "")
                verify(file, path=path, steps=steps)
            return manifest
    except psycopg.Error as error:
        raise NotDone(f"The database did not let itself be read: {one_line(error)}.") from error
    except DumpFailed as error:
        raise NotDone(f"The database could not be dumped: {error}.") from error


def check_server(connection: psycopg.Connection) -> None:
    ours, theirs = int(dumps.version().split(".")[0]), connection.info.server_version // 10_000
    if theirs > ours:
        raise NotDone(
            f"The server is PostgreSQL {theirs}, and pg_dump here is {ours}, which can't read it: use the pg_dump that "
            f"comes with PostgreSQL {theirs} (docs/operating.md), or update Agent Lobby."
        )


def described(connection: psycopg.Connection, *, key: str, steps: Steps) -> Manifest:
    schema = contents.schema_of(connection)
    return {
        "format": archive.FORMAT,
        "version": archive.VERSION,
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "postgres": connection.info.server_version,  # as 180004 for 18.4
        "pg_dump": dumps.version(),
        "schema": schema,
        "key": fingerprint(key),
        "migrations": contents.migrations(connection, schema=schema),
        "tables": contents.measure(connection, schema=schema, counted=lambda _: steps.advance()),
    }


def fingerprint(key: str) -> str:
    """Tells whether two keys are the same, and nothing else."""
    return hmac.digest(key.encode(), b"fingerprint of a backup", "sha256").hex()[:32]


def write(file: IO[bytes], manifest: Manifest, *, add_dump: Callable[[zipfile.ZipFile], Facts], key: str) -> None:
    """Adds to the manifest what the files are."""
    with zipfile.ZipFile(file, "w") as zipped:
        manifest["files"] = {archive.DUMP: add_dump(zipped)}
        if key:
            manifest["files"][archive.KEY] = archive.add(zipped, archive.KEY, BytesIO(key.encode()))
        archive.add_manifest(zipped, manifest)


def add_dump(zipped: zipfile.ZipFile, *, connection: psycopg.Connection, url: str, steps: Steps) -> Facts:
    """Of what this connection sees, whatever others change meanwhile."""
    snapshot = str(contents.value(connection, "SELECT pg_export_snapshot()"))
    extensions = connection.execute("SELECT extname FROM pg_extension")
    others = [name for (name,) in extensions if name not in KEPT_EXTENSIONS]
    with dumps.dumped(url, snapshot=snapshot, without_extensions=others) as dump:
        return archive.add(zipped, archive.DUMP, dump, seen=steps.advance)


def verify(file: IO[bytes], *, path: Path, steps: Steps) -> None:
    """Read it back: every byte is what was written, and the dump holds the rows that were counted. Raises NotDone."""
    with archive.opened(file, path=path) as (zipped, manifest):
        steps.begin("Reading it back", total=2 * sum(each["bytes"] for each in manifest["files"].values()))
        archive.check(zipped, manifest, path=path, seen=steps.advance)
        with zipped.open(archive.DUMP) as member, dumps.script(Hashing(member, seen=steps.advance)) as script:
            found = loading.count(script)
    expected = {table: figures["rows"] for table, figures in manifest["tables"].items()}
    if found != expected:
        wrong = sorted(table for table in found | expected if found.get(table) != expected.get(table))
        raise NotDone(f"The dump does not hold what was counted, in {', '.join(wrong)}. Nothing was kept.")
