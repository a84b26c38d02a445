"""`lobby up`: everything one machine needs, started in order, kept running, stopped in the reverse order."""

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from time import monotonic, sleep
from urllib.parse import urlsplit

import httpx
import psutil
from django.core.exceptions import ImproperlyConfigured

from lobby import env
from lobby.embedded import child, given, postgres, prepared, programs, valkey
from lobby.embedded.child import Child, StartFailed
from lobby.embedded.home import kept_port, why_not_bindable
from lobby.embedded.supervisor import Supervisor

STANDARD_OLLAMA = f"http://127.0.0.1:{given.OLLAMA_PORT}"
MODEL_SLOTS = 2
MODEL_CONTEXT = 4096  # tokens of one slot
GETTING_WELL = 10  # seconds that worker and host get before the address is announced all the same
STARTING = 180  # seconds for a web process or a model on a slow and busy machine; one that ends is noticed at once
WILDCARDS = {"0.0.0.0", "::"}  # noqa: S104 - what the user may ask for
STOPS_FIRST, STOPS_SECOND, STOPS_LAST = 1, 2, 3


def address_of(*, host: str, port: int) -> str:
    """Where a browser on this machine finds what listens on `host`."""
    name = "localhost" if host in WILDCARDS else f"[{host}]" if ":" in host else host
    return f"http://{name}:{port}"


def check_port(*, host: str, port: int) -> None:
    if reason := why_not_bindable(host, port):
        raise StartFailed(f"Can't listen on {host} port {port}: {reason}. Choose another with --port")


class Lobby:
    """One `lobby up`. `doing` gets what it is busy with, `say` a line that stays."""

    def __init__(self, home: Path, *, doing: Callable[[str], None], say: Callable[[str], None]) -> None:
        self.home = home
        self.doing = doing
        self.say = say
        self.supervisor = Supervisor(say=say)
        self.browser = httpx.Client(timeout=5, trust_env=False)  # one: each loads all certificates, 50 ms of work
        self.env = os.environ | {"LOBBY_HOME": str(home)}
        self.env.pop("PYTHONDONTWRITEBYTECODE", None)  # images set it: each process would compile for 2 s at each start
        self.web: Child

    def start(self, *, host: str, port: int, workers: int) -> str:
        """Start all of it; returns the path of the sign-in link. Raises StartFailed."""
        self.env.setdefault("ALLOWED_HOSTS", ",".join(names_of(host)))
        self.env.setdefault("LOBBY_URL", address_of(host=host, port=port))
        model = self.start_model()  # first: it loads while the others start
        self.start_redis()
        self.start_database()
        is_prepared = prepared.is_so(self.home, database=self.env["DATABASE_URL"])
        if is_prepared:  # its tables are there: what would begin afterwards can begin meanwhile
            self.start_processes(host=host, port=port, workers=workers)
        sign_in = self.first_run()
        if model:
            self.wait_for(model, path="/api/version", what="the embedded model")
        if not is_prepared:
            prepared.note(self.home, database=self.env["DATABASE_URL"])
            self.start_processes(host=host, port=port, workers=workers)
        self.wait_until_well()
        # Last: its first bell rings seconds later, and until here the processors have enough to do.
        self.add(programs.beat(schedule=child.folder(self.home, "beat") / "schedule"), name="beat")
        return sign_in

    def stop(self) -> None:
        self.supervisor.stop()
        self.browser.close()

    def start_database(self) -> None:
        self.doing("Opening the database")
        if url := setting("DATABASE_URL"):
            name = f"{given.check_database(url)} (DATABASE_URL)"
        else:
            url = self.supervisor.add(partial(postgres.start, self.home), stops=STOPS_LAST).url
            name = f"embedded PostgreSQL {postgres.VERSION} in {self.home / 'postgres'}"
        self.env["DATABASE_URL"] = url
        self.say(f"Database  {name}")

    def start_redis(self) -> None:
        self.doing("Starting Redis")
        if url := setting("REDIS_URL"):
            name = f"{given.check_redis(url)} (REDIS_URL)"
        else:
            again = partial(valkey.start, self.home, address=valkey.new_address())
            url = self.supervisor.add(again, stops=STOPS_SECOND).url
            name = f"embedded Valkey in {self.home / 'valkey'}"
        self.env["REDIS_URL"] = url
        self.say(f"Redis     {name}")

    def start_model(self) -> Child | None:
        """The embedded server, not ready yet, or None where there is an Ollama to use."""
        self.doing("Looking for Ollama")
        if asked := setting("OLLAMA_HOST"):
            url = given.ollama_address(asked)
            name = f"{given.check_ollama(url)} (OLLAMA_HOST)"
        elif version := given.ollama_version(STANDARD_OLLAMA):
            url, name = STANDARD_OLLAMA, f"Ollama {version}, found at {STANDARD_OLLAMA}"
        else:
            return self.start_embedded_model()
        self.env["OLLAMA_HOST"] = url
        self.say(f"Models    {name}")
        return None

    def start_embedded_model(self) -> Child:
        port = kept_port(self.home, name="model")
        url = f"http://127.0.0.1:{port}"
        self.env |= {"OLLAMA_HOST": url, "LOBBY_EMBEDDED_MODEL": "yes"}
        self.env.setdefault("OLLAMA_NUM_PARALLEL", str(MODEL_SLOTS))
        command = programs.model(port=port, slots=MODEL_SLOTS, context=MODEL_CONTEXT)
        model = self.supervisor.add(partial(self.spawn, command, name="model", url=url), stops=STOPS_SECOND)
        self.say("Models    embedded demonstration model (small: set OLLAMA_HOST to use your own Ollama)")
        return model

    def first_run(self) -> str:
        """Migrations and first-run data in a process of their own: the supervisor itself stays small."""
        self.doing("Preparing the database")
        command = [sys.executable, str(programs.PROJECT / "manage.py"), "first_run"]
        log = child.log_file(self.home, name="first_run")
        with log.open("ab") as errors:
            done = subprocess.run(
                command, env=self.env, cwd=programs.PROJECT, stdout=subprocess.PIPE, stderr=errors, check=False
            )
        if done.returncode != 0:
            raise StartFailed(f"The database could not be prepared: {child.last_line(log)} (all of it in {log})")
        return done.stdout.decode().strip()

    def start_processes(self, *, host: str, port: int, workers: int) -> None:
        self.web = self.add(programs.web(host=host, port=port), name="web", url=address_of(host=host, port=port))
        for number in range(1, workers + 1):
            self.add(programs.worker(name=f"worker{number}"), name=f"worker-{number}")

    def add(self, command: list[str], *, name: str, url: str = "") -> Child:
        return self.supervisor.add(partial(self.spawn, command, name=name, url=url), stops=STOPS_FIRST)

    def spawn(self, command: list[str], *, name: str, url: str) -> Child:
        kind = name.partition("-")[0]
        return child.spawn(command, name=name, home=self.home, url=url, env=self.env | {"LOBBY_PROCESS": kind})

    def wait_for(self, process: Child, *, path: str, what: str) -> None:
        self.doing(f"Waiting for {what}")
        log = child.log_file(self.home, name=process.name)
        child.wait_until(lambda: self.answers(f"{process.url}{path}"), child=process, patience=STARTING, log=log)

    def wait_until_well(self) -> None:
        """Until questions can be answered. Where that takes long it is said, and no reason to stop: it may be the
        Ollama of somebody else that is slow."""
        self.wait_for(self.web, path="/health", what="the web process")
        self.doing("Waiting for the workers")
        deadline = monotonic() + GETTING_WELL
        while missing := self.missing_at(self.web.url):
            if monotonic() > deadline:
                self.say(f"Not there yet: {', '.join(missing)}. The logs are in {self.home / 'logs'}")
                return
            sleep(0.2)

    def answers(self, url: str) -> bool:
        """Any answer will do: how well the parts are is asked later."""
        try:
            self.browser.get(url)
        except httpx.TransportError:
            return False
        return True

    def missing_at(self, url: str) -> list[str]:
        """The parts that the health page misses."""
        try:
            checks = self.browser.get(f"{url}/health").json()["checks"]
        except (httpx.TransportError, ValueError, KeyError):
            return ["web"]
        return [name for name, is_well in checks.items() if not is_well]


def setting(name: str) -> str:
    try:
        return env.text(name)
    except ImproperlyConfigured as error:
        raise StartFailed(str(error)) from error


def names_of(host: str) -> list[str]:
    """The names a browser may call us by; all of this machine's where we listen on every address."""
    names = ["localhost", "127.0.0.1", "[::1]"]
    if host in WILDCARDS:
        every = (address for addresses in psutil.net_if_addrs().values() for address in addresses)
        names += [socket.gethostname(), *(each.address for each in every if each.family == socket.AF_INET)]
    elif (name := urlsplit(address_of(host=host, port=0)).netloc.removesuffix(":0")) not in names:
        names.append(name)
    return names
