"""Where the installation's database is, running or not, and its secret key."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from time import monotonic, sleep

from lobby.backup import NotDone
from lobby.embedded import given, postgres
from lobby.embedded.child import StartFailed, end_leftovers
from lobby.embedded.home import AlreadyRunning, locked, open_home
from lobby.embedded.up import setting

PATIENCE = 20  # seconds for a PostgreSQL that is just starting
MAKING_BACKUP, RESTORING = "a backup is being made", "a backup is being restored"  # in the lock, instead of an address


@contextmanager
def database(home: Path, *, doing: Callable[[str], None]) -> Iterator[str]:
    """The address of the database to back up, whether the installation runs or not. Raises NotDone, StartFailed."""
    if url := setting("DATABASE_URL"):
        given.check_database(url)
        yield url
        return
    if not (home / "postgres" / "PG_VERSION").exists():
        raise NotDone(f"Nothing to back up: LOBBY_HOME {home} holds no database, and no DATABASE_URL is given.")
    with ExitStack() as stack:
        try:
            stack.enter_context(locked(home, address=MAKING_BACKUP))
        except AlreadyRunning as running:
            url = running_database(home, running)
        else:
            url = started(home, stack=stack, doing=doing)
        yield url


@contextmanager
def database_alone(home: Path, *, doing: Callable[[str], None]) -> Iterator[str]:
    """The address of a database that nobody uses meanwhile; the embedded one is made where there is none.

    Raises NotDone, StartFailed.
    """
    if url := setting("DATABASE_URL"):
        given.check_database(url)
        yield url
        return
    open_home(home)
    with ExitStack() as stack:
        try:
            stack.enter_context(locked(home, address=RESTORING))
        except AlreadyRunning as running:
            raise NotDone(f"{said(running)} Stop it first: a restore changes everything under it.") from running
        yield started(home, stack=stack, doing=doing)


def started(home: Path, *, stack: ExitStack, doing: Callable[[str], None]) -> str:
    doing("Starting the database")
    end_leftovers(home)
    server = postgres.start(home)
    stack.callback(server.stop)
    return server.url


def running_database(home: Path, running: AlreadyRunning) -> str:
    if running.address in {MAKING_BACKUP, RESTORING}:
        raise NotDone(f"{said(running)} Try again when it is done.")
    deadline = monotonic() + PATIENCE
    while not (url := postgres.running_url(home)):
        if monotonic() > deadline:
            raise StartFailed(f"{said(running)} But its database does not answer; its log is in {home / 'logs'}.")
        sleep(0.1)
    return url


def said(running: AlreadyRunning) -> str:
    if running.address in {MAKING_BACKUP, RESTORING}:
        return f"Of this installation {running.address} (process {running.pid})."
    return f"Agent Lobby runs at {running.address} (process {running.pid})."


def secret_key(home: Path) -> str:
    """The key that the installation signs and encrypts with; empty where none was made yet."""
    if key := setting("LOBBY_SECRET_KEY"):
        return key
    path = home / "secret_key"
    return path.read_text().strip() if path.exists() else ""


def is_key_given() -> bool:
    return bool(setting("LOBBY_SECRET_KEY"))


def keep_secret_key(home: Path, key: str) -> None:
    draft = home / "secret_key.new"
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(key)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(home / "secret_key")
