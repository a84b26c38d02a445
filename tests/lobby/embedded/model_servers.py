"""Real embedded model servers for tests, and exchanges with them exactly as they are on the wire."""

import http.client
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

import psutil

from tests.waiting import wait_for

PROJECT = Path(__file__).parents[3]
RECORDINGS = PROJECT / "tests" / "data" / "ollama"
MODEL = "smollm2:135m"
COMMAND = [sys.executable, "-m", "lobby.embedded.model_server", "--port", "0"]
OFTEN_CHANGES = ("date", "content-length")
ENDLESS = {"temperature": 0, "num_predict": -1}  # the likeliest story goes in circles; one by chance may end
PATIENCE = 250  # seconds: less than a test may take as a whole


@dataclass(frozen=True)
class Exchange:
    """`headers` has lower-case names, and no values where they change with each answer. `lines` are of the body."""

    status: int
    headers: dict[str, str]
    lines: list[str]
    ended: str

    @property
    def chunks(self) -> list[Any]:
        return [json.loads(line) for line in self.lines]

    @property
    def text(self) -> str:
        return "".join(chunk["message"]["content"] for chunk in self.chunks)

    @property
    def last(self) -> Any:
        return self.chunks[-1]


@dataclass(frozen=True)
class ModelServer:
    process: subprocess.Popen[str]
    url: str

    @property
    def runner(self) -> psutil.Process | None:
        """The process that holds the model, if it is loaded."""
        children = psutil.Process(self.process.pid).children()
        return children[0] if children else None

    def work(self) -> float:
        """Seconds of a processor that the runner has had."""
        assert self.runner
        times = self.runner.cpu_times()
        return float(times.user + times.system)

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=PATIENCE)

    def begin(
        self,
        method: str,
        path: str,
        *,
        body: bytes = b"",
        headers: dict[str, str] | None = None,
    ) -> http.client.HTTPConnection:
        """Send a request; its answer is still to be read."""
        connection = self.connect()
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        for name, value in (headers or {"Host": "127.0.0.1:11434"}).items():
            connection.putheader(name, value)
        if method == "POST":
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        return connection

    def ask(self, method: str, path: str, *, body: bytes = b"", headers: dict[str, str] | None = None) -> Exchange:
        with closing(self.begin(method, path, body=body, headers=headers)) as connection:
            return received(connection.getresponse())

    def begin_chat(self, **request: Any) -> http.client.HTTPConnection:
        return self.begin("POST", "/api/chat", body=json.dumps({"model": MODEL, **request}).encode())

    def chat(self, **request: Any) -> Exchange:
        with closing(self.begin_chat(**request)) as connection:
            return received(connection.getresponse())

    def say(self, text: str, **options: Any) -> Exchange:
        return self.chat(messages=user(text), options=options)

    def unload(self) -> None:
        self.chat(messages=[], keep_alive=0)
        wait_for(lambda: not self.loaded())

    def load(self, num_ctx: int | None = None) -> None:
        self.chat(messages=[], options={"num_ctx": num_ctx})

    def loaded(self) -> list[Any]:
        models: list[Any] = self.ask("GET", "/api/ps").last["models"]
        return models


def user(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


def received(response: http.client.HTTPResponse) -> Exchange:
    headers = {name.lower(): "" if name.lower() in OFTEN_CHANGES else value for name, value in response.getheaders()}
    body, ended = b"", "complete"
    try:
        while piece := response.read1():
            body += piece
        if response.length:
            ended = "cut"
    except (http.client.IncompleteRead, ConnectionError):
        ended = "cut"
    return Exchange(response.status, headers, body.decode().rstrip("\n").split("\n") if body else [], ended)


@contextmanager
def model_server(*options: str) -> Iterator[ModelServer]:
    """A server that takes requests. At exit it must end by itself when told to."""
    with process(*COMMAND, *options) as child:
        yield ModelServer(child, address(child))
        if child.poll() is None:
            child.send_signal(signal.SIGTERM)
            assert child.wait(PATIENCE) == 0


@contextmanager
def process(*command: str) -> Iterator[subprocess.Popen[str]]:
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    try:
        yield child
    finally:
        child.kill()
        child.communicate()


def address(child: subprocess.Popen[str]) -> str:
    assert child.stdout
    found = re.fullmatch(r"listening on (http://127\.0\.0\.1:\d+)\n", child.stdout.readline())
    assert found
    return found[1]


@dataclass
class Listening:
    """A streamed reply, read in a thread of its own while the test goes on."""

    connection: http.client.HTTPConnection
    is_answered: bool = False
    lines: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.thread = Thread(target=self._read)
        self.thread.start()

    def _read(self) -> None:
        response = self.connection.getresponse()
        self.is_answered = True
        while line := response.readline():
            self.lines.append(line.decode())

    def wait(self) -> list[Any]:
        self.thread.join(PATIENCE)
        assert not self.thread.is_alive()
        self.connection.close()
        return [json.loads(line) for line in self.lines]
