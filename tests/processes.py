"""Real web, worker and beat processes on the suite's database, for browser and fault tests.

Each context manager returns once the process is ready and kills it at exit. The rows a test makes are seen by them
only where they are committed (`transactional_db`). `env` adds to or overrides the environment, as in
`worker_process(env={"OLLAMA_HOST": fake.url})`. To kill one: `os.kill(child.pid, signal.SIGKILL)`; to have it again,
enter a new one (a web process at the same place with `port=child_port(child)`).
"""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from urllib.parse import urlsplit

import httpx
from django.db import connection

from lobby.embedded import child, programs
from lobby.embedded.child import Child
from tests.ports import reserved

STARTING = 120  # seconds, on a slow and busy machine
STOPPING = 20
numbers = count(1)
# One client: each loads all certificates, 50 ms of work. It keeps no connection that somebody would have to close.
browser = httpx.Client(timeout=60, trust_env=False, limits=httpx.Limits(max_keepalive_connections=0))


@contextmanager
def web_process(*, port: int = 0, env: Mapping[str, str] | None = None) -> Iterator[Child]:
    """A uvicorn; `url` is its address, without a slash at the end."""
    with reserved(port) as free:
        url = f"http://127.0.0.1:{free}"
        command = programs.web(host="127.0.0.1", port=free)
        with running(
            "web", command, ready=lambda _: answers(url), url=url, env={"LOBBY_PROCESS": "web", **(env or {})}
        ) as web:
            yield web


@contextmanager
def worker_process(*, env: Mapping[str, str] | None = None) -> Iterator[Child]:
    command = programs.worker(name=f"test{next(numbers)}")
    with running("worker", command, ready=says(" ready."), env=env) as worker:
        yield worker


@contextmanager
def beat_process(*, env: Mapping[str, str] | None = None) -> Iterator[Child]:
    schedule = home() / "run" / f"schedule-{next(numbers)}"  # it says nothing, but keeps its plan there
    command = programs.beat(schedule=schedule)
    with running("beat", command, ready=lambda _: any(schedule.parent.glob(f"{schedule.name}*")), env=env) as beat:
        yield beat


@contextmanager
def running(
    kind: str,
    command: list[str],
    *,
    ready: Callable[[Path], bool],
    url: str = "",
    env: Mapping[str, str] | None = None,
) -> Iterator[Child]:
    name = f"{kind}-{next(numbers)}"
    process = child.spawn(command, name=name, home=home(), url=url, env=environment(env or {}))
    log = child.log_file(home(), name=name)
    try:
        child.wait_until(lambda: ready(log), child=process, patience=STARTING, log=log)
        yield process
    finally:
        process.stop(patience=STOPPING)


def log_of(process: Child) -> str:
    return child.log_file(home(), name=process.name).read_text(errors="replace")


def child_port(process: Child) -> int:
    return urlsplit(process.url).port or 0


def home() -> Path:
    return Path(os.environ["LOBBY_HOME"])


def environment(changes: Mapping[str, str]) -> dict[str, str]:
    database = f"@/{connection.settings_dict['NAME']}?".join(os.environ["DATABASE_URL"].split("@/lobby?"))
    return os.environ | {"DATABASE_URL": database} | dict(changes)


def says(words: str) -> Callable[[Path], bool]:
    return lambda log: words in log.read_text(errors="replace")


def answers(url: str) -> bool:
    try:
        browser.get(url)
    except httpx.TransportError:
        return False
    return True
