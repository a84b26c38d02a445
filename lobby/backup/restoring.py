"""Restoring a backup: into a fresh database, compared with the manifest, brought up to date, only then put in place.

Where no database may be made, all of it is done in one transaction of the one that is there.
"""

import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic, sleep

import psycopg

from lobby.backup import NotDone, archive, contents, loading, making, migrating, place, swapping
from lobby.backup.archive import Manifest
from lobby.backup.steps import Steps
from lobby.embedded import dumps
from lobby.embedded.child import folder
from lobby.embedded.dumps import DumpFailed
from lobby.embedded.given import one_line
from lobby.embedded.home import open_home

Say = Callable[[str], None]

LEAVING = 2  # seconds
NAMED = 3  # so many of a long list are named
# What tells an installation in use from one that was only ever started
IN_USE = {
    "agents_run": "SELECT EXISTS (SELECT FROM agents_run)",
    "chat_conversation": "SELECT EXISTS (SELECT FROM chat_conversation)",
    "debates_debate": "SELECT EXISTS (SELECT FROM debates_debate)",
    "auth_user": "SELECT count(*) > 1 OR count(last_login) > 0 FROM auth_user",
}
OTHERS_TABLES = """
SELECT n.nspname || '.' || c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p') AND n.nspname NOT IN (current_schema(), 'pg_catalog', 'information_schema')
   AND n.nspname !~ '^pg_(toast|temp)' AND NOT EXISTS (
       SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
 ORDER BY 1
"""
CONNECTED = """
SELECT count(*) FROM pg_stat_activity
 WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
"""


def restore(path: Path, *, home: Path, replace: bool, steps: Steps, say: Say) -> Manifest:
    """Put what the backup holds in the place of what there is; `say` gets what the user should know of it.

    What is in use is replaced only if asked to, and then backed up first. Raises NotDone, StartFailed.
    """
    with refusals(path), path.open("rb") as file, archive.opened(file, path=path) as (zipped, manifest):
        steps.begin("Reading the backup", total=sum(each["bytes"] for each in manifest["files"].values()))
        archive.check(zipped, manifest, path=path, seen=steps.advance)
        is_older = check_versions(manifest, path=path)
        with place.database_alone(home, doing=steps.begin) as url:
            check_target(url, manifest)
            make_way(url, home=home, replace=replace, steps=steps, say=say)
            put_in_place(zipped, manifest, url=url, is_older=is_older, steps=steps)
        take_key(zipped, manifest, path=path, home=home, say=say)
        return manifest


@contextmanager
def refusals(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise NotDone(f"{path} can't be read: {error.strerror or error}.") from error
    except psycopg.Error as error:
        raise NotDone(f"The database refused: {one_line(error)}. Nothing was changed.") from error
    except DumpFailed as error:
        raise NotDone(f"The dump in {path} can't be read: {error}. Nothing was changed.") from error


def check_versions(manifest: Manifest, *, path: Path) -> bool:
    """Whether the backup is of an older Agent Lobby, so that its tables have to be brought up to date."""
    known, applied = migrating.known(), set(manifest["migrations"])
    if newer := applied - known:
        raise NotDone(
            f"{path} is of a newer Agent Lobby, or of one with other parts: this one does not know {few(newer)}. "
            "Update this installation first."
        )
    if major(manifest["pg_dump"]) > major(dumps.version()):
        raise NotDone(
            f"{path} was written by the pg_dump of PostgreSQL {manifest['pg_dump']}, and here is {dumps.version()}: "
            "update this installation first."
        )
    return bool(known - applied)


def major(version: str) -> int:
    return int(version.split(".")[0])


def few(names: set[str] | list[str]) -> str:
    first = sorted(names)[:NAMED]
    return ", ".join(first) + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")


def check_target(url: str, manifest: Manifest) -> None:
    with psycopg.connect(url) as connection:
        theirs, ours = manifest["postgres"] // 10_000, connection.info.server_version // 10_000
        if theirs > ours:
            raise NotDone(f"The backup is of PostgreSQL {theirs} and this server is {ours}: restore into a newer one.")
        if number := others_connected(connection):
            raise NotDone(f"Others are connected to the database ({number}): stop web, workers and beat first.")
        tables = contents.sizes(connection, schema=contents.schema_of(connection))
        others = [name for (name,) in connection.execute(OTHERS_TABLES)]
    if tables and "django_migrations" not in tables:
        others += tables
    if others:
        raise NotDone(
            f"The database holds what is not Agent Lobby's ({few(others)}): name one of its own in DATABASE_URL."
        )


def others_connected(connection: psycopg.Connection) -> int:
    """How many stay: the server needs a moment to notice that somebody left, and we were just here ourselves."""
    deadline = monotonic() + LEAVING
    while (number := int(contents.value(connection, CONNECTED))) and monotonic() < deadline:
        connection.rollback()  # the next look is a fresh one
        sleep(0.05)
    return number


def make_way(url: str, *, home: Path, replace: bool, steps: Steps, say: Say) -> None:
    """Back up what is in use. Raises NotDone where nobody allowed to replace it."""
    if not is_in_use(url):
        return
    if not replace:
        raise NotDone(
            "This installation is in use: --replace puts the backup in its place, after a backup of what is there now."
        )
    open_home(home)
    safe = folder(home, "backups") / f"before-restore-{datetime.now(UTC):%Y-%m-%d-%H%M%S}.zip"
    making.back_up(url, safe, key=place.secret_key(home), with_key=True, steps=steps)
    say(f"What was there until now is kept in {safe}, secret key included.")


def is_in_use(url: str) -> bool:
    with psycopg.connect(url) as connection:
        tables = contents.sizes(connection, schema=contents.schema_of(connection))
        return any(contents.value(connection, query) for table, query in IN_USE.items() if table in tables)


def put_in_place(zipped: zipfile.ZipFile, manifest: Manifest, *, url: str, is_older: bool, steps: Steps) -> None:
    if swapping.is_possible(url):
        with swapping.fresh_database(url) as fresh:
            fill(fresh, zipped, manifest, steps=steps)
            if is_older:
                migrating.migrate(fresh, doing=steps.begin)
        return
    fill(url, zipped, manifest, steps=steps, clears=True)
    if is_older:
        migrating.migrate(url, doing=steps.begin)


def fill(url: str, zipped: zipfile.ZipFile, manifest: Manifest, *, steps: Steps, clears: bool = False) -> None:
    """In one transaction; what came out is compared before it is committed. Raises NotDone."""
    with psycopg.connect(url) as connection:
        if clears:
            swapping.clear(connection)
        steps.begin("Restoring", total=manifest["files"][archive.DUMP]["bytes"])
        with zipped.open(archive.DUMP) as member:
            source = archive.Hashing(member, seen=steps.advance)
            with dumps.script(source) as script:
                loading.load(connection, script)
        steps.begin("Comparing rows", total=len(manifest["tables"]), unit="tables")
        found = contents.measure(connection, schema=manifest["schema"], counted=lambda _: steps.advance())
        if wrong := contents.differences(found, manifest["tables"]):
            raise NotDone(f"What came out is not what was backed up, in {few(wrong)}. Nothing was changed.")
        connection.execute("ANALYZE")


def take_key(zipped: zipfile.ZipFile, manifest: Manifest, *, path: Path, home: Path, say: Say) -> None:
    """The secret key that the rows were written with, where the backup has it."""
    if making.fingerprint(place.secret_key(home)) == manifest["key"]:
        return
    if archive.KEY not in manifest["files"]:
        say(
            "This installation has another secret key than the backup's, which is not in it. Until the old key is set "
            "(LOBBY_SECRET_KEY, or LOBBY_HOME/secret_key), its API keys, second factors, invitations and kept secrets "
            "do not work."
        )
    elif place.is_key_given():
        say(f"Set LOBBY_SECRET_KEY to the backup's key: unzip -p {path} {archive.KEY}")
    else:
        open_home(home)
        place.keep_secret_key(home, zipped.read(archive.KEY).decode())
        say(f"The backup's secret key is now in {home / 'secret_key'}.")
