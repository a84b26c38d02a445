"""Everything a bench needs, as `lobby up` runs it but on throw-away data: the services, web, workers, beat, and the
scripted Ollama in a process of its own."""

import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import psutil

from lobby.embedded import child, postgres, programs, valkey
from lobby.embedded.child import Child, StartFailed
from lobby.embedded.home import free_port

STARTING = 180.0  # seconds for a process on a slow and busy machine
NO_LIMIT = "none"
REPLACED = ("DATABASE_URL", "REDIS_URL", "OLLAMA_HOST", "LOBBY_SECRET_KEY", "LOBBY_MODEL", "ALLOWED_HOSTS", "DEBUG")


@dataclass
class Stack:
    """`web` and `workers` are names of children, such as "web-1"."""

    home: Path
    env: dict[str, str]
    children: dict[str, Child] = field(default_factory=dict)
    starters: dict[str, Callable[[], Child]] = field(default_factory=dict)
    web: list[str] = field(default_factory=list)
    workers: list[str] = field(default_factory=list)

    def add(self, name: str, start: Callable[[], Child]) -> Child:
        self.starters[name] = start
        self.children[name] = start()
        return self.children[name]

    def add_process(self, name: str, command: list[str], *, url: str = "") -> Child:
        env = self.env | {"LOBBY_PROCESS": name.partition("-")[0]}
        return self.add(name, partial(child.spawn, command, name=name, home=self.home, url=url, env=env))

    def kill(self, name: str) -> None:
        """kill -9, and wait until it is gone."""
        process = self.children[name].process
        process.kill()
        process.wait()

    def start_again(self, name: str) -> None:
        """At the same address; does not wait until a web process or a worker is ready."""
        self.children[name] = self.starters[name]()

    def url(self, name: str) -> str:
        return self.children[name].url

    @property
    def addresses(self) -> list[str]:
        return [self.url(name) for name in self.web]

    def stop(self) -> None:
        """In the reverse order of starting."""
        for process in reversed(self.children.values()):
            if process.process.poll() is None:
                process.process.send_signal(signal.SIGCONT)  # a stopped one hears nothing
            process.stop(patience=8)

    def wait_until_ready(self) -> None:
        for name in self.web:
            self.wait_for(name, lambda name=name: answers(self.url(name)))  # type: ignore[misc]
        for name in self.workers:
            self.wait_for(name, lambda name=name: " ready." in self._log(name).read_text(errors="replace"))  # type: ignore[misc]

    def wait_for(self, name: str, ready: Callable[[], bool]) -> None:
        child.wait_until(ready, child=self.children[name], patience=STARTING, log=self._log(name))

    def _log(self, name: str) -> Path:
        return child.log_file(self.home, name=name)

    def order(self, path: str, **order: Any) -> None:
        """Tell the scripted Ollama what to do: tests/fake_ollama."""
        httpx.post(f"{self.url('fake')}/fake/{path}", json=order, timeout=10, trust_env=False).raise_for_status()

    def seen(self) -> dict[str, Any]:
        """What the scripted Ollama has seen."""
        found: dict[str, Any] = httpx.get(f"{self.url('fake')}/fake/stats", timeout=30, trust_env=False).json()
        return found

    def processes(self, names: list[str]) -> list[psutil.Process]:
        return [psutil.Process(self.children[name].pid) for name in names]


@contextmanager
def running(*, web: int, workers: int, doing: Callable[[str], None]) -> Iterator[Stack]:
    """All of it, ready, with this process' Django set up on its database. Raises StartFailed."""
    check_checkout()
    home = Path(tempfile.mkdtemp(prefix="lobby-bench-"))
    stack = Stack(home, environment(os.environ, home))
    try:
        start_services(stack, doing=doing)
        doing("Preparing the database")
        set_up_django(stack.env)
        doing("Starting web and workers")
        start_processes(stack, web=web, workers=workers)
        stack.wait_until_ready()
        yield stack
    finally:
        doing("Stopping")
        stack.stop()
        shutil.rmtree(home, ignore_errors=True)


def check_checkout() -> None:
    if not (programs.PROJECT / "tests" / "fake_ollama").is_dir():
        raise StartFailed("A bench runs from a checkout of the project: the scripted Ollama in tests/ is not there")


def environment(given: Mapping[str, str], home: Path) -> dict[str, str]:
    kept = {name: value for name, value in given.items() if name.removesuffix("_FILE") not in REPLACED}
    return kept | {
        "LOBBY_HOME": str(home),
        "LOBBY_RUNS_PER_USER": NO_LIMIT,
        "LOBBY_QUEUED_PER_USER": NO_LIMIT,
        "LOBBY_RUNS_PER_HOUR": NO_LIMIT,
        "LOBBY_TOKENS_PER_DAY": NO_LIMIT,
        "LOG_LEVEL": "INFO",
    }


def start_services(stack: Stack, *, doing: Callable[[str], None]) -> None:
    doing("Starting PostgreSQL, Valkey and the scripted Ollama")
    database = stack.add("postgres", partial(postgres.start, stack.home))
    redis = stack.add("valkey", partial(valkey.start, stack.home, address=valkey.new_address()))
    port = free_port()
    command = [sys.executable, "-m", "tests.fake_ollama", "--port", str(port)]
    fake = stack.add_process("fake", command, url=f"http://127.0.0.1:{port}")
    stack.env |= {"DATABASE_URL": database.url, "REDIS_URL": redis.url, "OLLAMA_HOST": fake.url}
    stack.wait_for("fake", lambda: answers(f"{fake.url}/api/version"))


def set_up_django(env: dict[str, str]) -> None:
    """In this process too: the bench makes users and reads rows."""
    os.environ.clear()  # a key or an address that was set must not reach this process alone
    os.environ.update(env | {"DJANGO_SETTINGS_MODULE": "lobby.settings"})
    import django  # noqa: PLC0415 - not before its settings can be read
    from django.core.management import call_command  # noqa: PLC0415

    django.setup()
    call_command("migrate", verbosity=0, interactive=False)


def start_processes(stack: Stack, *, web: int, workers: int) -> None:
    for number in range(1, web + 1):
        port = free_port()
        stack.web.append(f"web-{number}")
        command = programs.web(host="127.0.0.1", port=port)
        stack.add_process(stack.web[-1], command, url=f"http://127.0.0.1:{port}")
    for number in range(1, workers + 1):
        stack.workers.append(f"worker-{number}")
        stack.add_process(stack.workers[-1], programs.worker(name=stack.workers[-1]))
    stack.add_process("beat", programs.beat(schedule=child.folder(stack.home, "beat") / "schedule"))


def answers(url: str) -> bool:
    try:
        answer = httpx.get(url, timeout=5, trust_env=False)
    except httpx.TransportError:
        return False
    return answer.status_code < httpx.codes.INTERNAL_SERVER_ERROR
