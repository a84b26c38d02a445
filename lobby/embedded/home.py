"""LOBBY_HOME: the folder that holds all data of one Agent Lobby, and the lock that lets only one run on it."""

import fcntl
import json
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lobby.embedded.child import StartFailed, folder
from lobby.embedded.programs import PROJECT


@dataclass
class AlreadyRunning(Exception):
    """Another process holds the lock; `address` is where it serves."""

    pid: int
    address: str


def home_of(env: Mapping[str, str]) -> Path:
    return Path(env.get("LOBBY_HOME") or PROJECT / ".lobby").expanduser().resolve()


def open_home(home: Path) -> None:
    """Make the folder, closed to other users, and check that it can be written to. Raises StartFailed."""
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not is_ours(home):
            raise StartFailed(f"LOBBY_HOME {home} holds other things: name an empty folder, or one that is not there")
        home.chmod(0o700)
        probe = folder(home, "run") / "writable"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise StartFailed(f"LOBBY_HOME {home} can't be written to: {error.strerror}") from error


def is_ours(home: Path) -> bool:
    """Or empty. Somebody's /tmp is not to be closed to the others."""
    names = {path.name for path in home.iterdir()}
    return not names or bool(names & {"secret_key", "lock", "run"})


@contextmanager
def locked(home: Path, *, address: str) -> Iterator[None]:
    """Hold the lock, with our process number and address in it. The system drops it however we end.

    Raises AlreadyRunning.
    """
    with (home / "lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise AlreadyRunning(**json.loads(file.read() or '{"pid": 0, "address": ""}')) from None
        file.truncate(0)
        file.write(json.dumps({"pid": os.getpid(), "address": address}))
        file.flush()
        yield


def kept_port(home: Path, *, name: str) -> int:
    """A free loopback port, the same as last time where it is still free."""
    file = folder(home, "run") / f"{name}.port"
    if file.exists() and not why_not_bindable("127.0.0.1", int(file.read_text())):
        return int(file.read_text())
    port = free_port()
    file.write_text(str(port))
    return port


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def why_not_bindable(host: str, port: int) -> str:
    """The system's reason, or nothing where a server may listen there."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            return error.strerror or str(error)
    return ""
