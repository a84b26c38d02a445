"""The real command with its real services; only the model is the scripted one, so that no test waits for it to load."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
import pytest

from lobby.embedded import child, given
from lobby.embedded.home import free_port
from lobby.embedded.programs import PROJECT
from lobby.embedded.up import STANDARD_OLLAMA, Lobby
from tests.fake_ollama import FakeOllama
from tests.ports import reserved
from tests.waiting import wait_for

pytestmark = pytest.mark.timeout(600)
PARTS = ("postgres", "valkey", "web", "worker-1", "beat")
RESTARTING = 120  # seconds, on a slow machine


@dataclass
class Up:
    home: Path
    port: int
    process: subprocess.Popen[str]
    said: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def pid(self, name: str) -> int:
        return int((self.home / "run" / f"{name}.pid").read_text().split()[0])

    def output(self) -> str:
        return self.said.read_text()

    def page(self) -> int:
        return httpx.get(self.url, follow_redirects=True, timeout=60).status_code


def command(port: int) -> list[str]:
    """As the background job of a shell script, which begins with Ctrl-C ignored."""
    in_background = ["/bin/sh", "-c", 'trap "" INT; exec "$@"', "sh"]
    return [*in_background, sys.executable, "-m", "lobby.cli", "up", "--no-browser", "--port", str(port)]


def environment(home: Path, changes: Mapping[str, str]) -> dict[str, str]:
    given = {"DATABASE_URL", "REDIS_URL", "OLLAMA_HOST", "LOBBY_SECRET_KEY"}
    kept = {name: value for name, value in os.environ.items() if name not in given}
    return kept | {"LOBBY_HOME": str(home)} | dict(changes)


@contextmanager
def up(home: Path, *, port: int, env: Mapping[str, str]) -> Iterator[Up]:
    said = home.with_name("said")
    with said.open("w") as output:
        process = subprocess.Popen(
            command(port), cwd=PROJECT, env=environment(home, env), stdout=output, stderr=subprocess.STDOUT, text=True
        )
    running = Up(home, port, process, said)
    try:
        wait_for(lambda: "Ctrl-C stops it" in said.read_text() or process.poll() is not None, seconds=400)
        assert process.poll() is None, running.output()
        yield running
    finally:
        process.terminate()
        process.wait(60)


def refusal(home: Path, *arguments: str, env: Mapping[str, str]) -> tuple[int, str]:
    done = subprocess.run(
        [*command(free_port()), *arguments],
        cwd=PROJECT,
        env=environment(home, env),
        capture_output=True,
        text=True,
        check=False,
        timeout=250,
    )
    return done.returncode, done.stderr


@pytest.fixture(scope="module")
def model() -> Iterator[FakeOllama]:
    with FakeOllama(["fake:latest"]) as server:
        yield server


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, model: FakeOllama) -> Iterator[Up]:
    home = tmp_path_factory.mktemp("up") / "home"
    with reserved() as port, up(home, port=port, env={"OLLAMA_HOST": model.url}) as one:
        yield one


def test_it_says_what_it_uses_and_serves(running: Up, model: FakeOllama) -> None:
    lines = running.output().splitlines()
    version = httpx.get(f"{model.url}/api/version").json()["version"]
    assert f"Database  embedded PostgreSQL 18 in {running.home / 'postgres'}" in lines
    assert f"Redis     embedded Valkey in {running.home / 'valkey'}" in lines
    assert f"Models    Ollama {version} at {model.url} (OLLAMA_HOST)" in lines
    assert f"Agent Lobby runs at {running.url}" in lines
    assert running.page() == httpx.codes.OK


def test_its_link_signs_in_once(running: Up) -> None:
    link = re.search(rf"Sign in, once, with ({running.url}/\S+)", running.output())
    assert link
    with httpx.Client(follow_redirects=True, timeout=60) as browser:
        assert browser.get(link[1]).status_code == httpx.codes.OK


def test_all_it_keeps_is_closed_to_other_users(running: Up) -> None:
    assert running.home.stat().st_mode & 0o777 == 0o700
    assert (running.home / "secret_key").stat().st_mode & 0o777 == 0o600


def test_a_second_one_says_where_the_first_runs_and_leaves_it_alone(running: Up) -> None:
    before = [running.pid(name) for name in PARTS]
    done = subprocess.run(
        command(free_port()),
        cwd=PROJECT,
        env=environment(running.home, {}),
        capture_output=True,
        text=True,
        check=False,
        timeout=250,
    )
    assert done.returncode == 0
    assert done.stdout == f"Agent Lobby already runs at {running.url} (process {running.process.pid}).\n"
    assert [running.pid(name) for name in PARTS] == before


@pytest.mark.parametrize("name", PARTS)
def test_a_killed_part_is_started_again_and_said(running: Up, name: str) -> None:
    killed = running.pid(name)
    os.kill(killed, signal.SIGKILL)
    wait_for(lambda: f"{name} was ended by SIGKILL, starting it again in 0.5 s" in running.output(), seconds=RESTARTING)
    wait_for(lambda: f"{name} runs again" in running.output(), seconds=RESTARTING)
    assert running.pid(name) != killed
    wait_for(lambda: answers_well(running), seconds=RESTARTING)


def answers_well(running: Up) -> bool:
    """The readiness page asks database and Redis."""
    try:
        return httpx.get(f"{running.url}/sign-in/", follow_redirects=True, timeout=60).is_success
    except httpx.TransportError:
        return False


def test_after_a_kill_of_all_the_next_start_has_the_data(tmp_path: Path, model: FakeOllama) -> None:
    home, env = tmp_path / "home", {"OLLAMA_HOST": model.url}
    with reserved() as port, up(home, port=port, env=env) as first:
        pids = [first.pid(name) for name in PARTS]
        key = (home / "secret_key").read_text()
        first.process.kill()
        first.process.wait()
        with up(home, port=port, env=env) as second:
            assert second.page() == httpx.codes.OK
            assert (home / "secret_key").read_text() == key
            assert all(child.is_gone(pid) for pid in pids)


def test_ctrl_c_stops_all_of_it(tmp_path: Path, model: FakeOllama) -> None:
    with reserved() as port, up(tmp_path / "home", port=port, env={"OLLAMA_HOST": model.url}) as one:
        tree = psutil.Process(one.process.pid).children(recursive=True)
        one.process.send_signal(signal.SIGINT)
        assert one.process.wait(60) == 0
    assert [process.pid for process in tree if not child.is_gone(process.pid)] == []
    assert list((one.home / "run").glob("*.pid")) == []


@pytest.mark.parametrize(
    ("env", "words"),
    [
        ({"DATABASE_URL": "mysql://host/name"}, "DATABASE_URL is not a PostgreSQL address"),
        ({"DATABASE_URL": "postgresql://127.0.0.1:9/name"}, "DATABASE_URL: can't open database name on 127.0.0.1"),
        ({"REDIS_URL": "http://host"}, "REDIS_URL is not a Redis address"),
        ({"REDIS_URL": "redis://127.0.0.1:9/0"}, "REDIS_URL: can't reach Redis at 127.0.0.1"),
        ({"OLLAMA_HOST": "ftp://host"}, "OLLAMA_HOST is not an address"),
        ({"OLLAMA_HOST": "127.0.0.1:9"}, "OLLAMA_HOST: no Ollama answers at http://127.0.0.1:9"),
        ({"DATABASE_URL_FILE": "/nowhere"}, "DATABASE_URL_FILE names /nowhere, which can't be read"),
        ({"LOBBY_HOME": "/proc/nowhere"}, "LOBBY_HOME /proc/nowhere can't be written to"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(tmp_path: Path, model: FakeOllama, env: dict[str, str], words: str) -> None:
    code, said = refusal(tmp_path / "home", env={"OLLAMA_HOST": model.url} | env)
    assert code == 1
    assert said.startswith(words)
    assert said.count("\n") == 1


def test_a_port_in_use_is_said_in_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, said = refusal(tmp_path / "home", "--port", str(port), env={})
    assert code == 1
    assert said == f"Can't listen on 127.0.0.1 port {port}: Address already in use. Choose another with --port\n"


@pytest.fixture
def parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Lobby, list[str]]]:
    """A `lobby up` of which a test starts one part, where the environment names no Ollama, and the lines it says."""
    monkeypatch.delenv("OLLAMA_HOST")
    lines: list[str] = []
    lobby = Lobby(tmp_path, doing=lambda _: None, say=lines.append)
    yield lobby, lines
    lobby.stop()


def test_an_ollama_at_its_standard_port_is_used(parts: tuple[Lobby, list[str]], tmp_path: Path) -> None:
    lobby, lines = parts
    command = [sys.executable, "-m", "tests.fake_ollama", "--port", str(given.OLLAMA_PORT)]
    standard = child.spawn(command, name="standard", home=tmp_path)  # ends at once where a real one is there already
    wait_for(lambda: given.ollama_version(STANDARD_OLLAMA), seconds=RESTARTING)
    assert lobby.start_model() is None
    assert lines == [f"Models    Ollama {given.ollama_version(STANDARD_OLLAMA)}, found at {STANDARD_OLLAMA}"]
    assert lobby.env["OLLAMA_HOST"] == STANDARD_OLLAMA
    assert lobby.supervisor.parts == []
    standard.stop()


def test_without_any_ollama_the_demonstration_model_starts(parts: tuple[Lobby, list[str]]) -> None:
    lobby, lines = parts
    model = lobby.start_embedded_model()
    lobby.wait_for(model, path="/api/version", what="the model")
    assert lines == ["Models    embedded demonstration model (small: set OLLAMA_HOST to use your own Ollama)"]
    assert (lobby.env["OLLAMA_HOST"], lobby.env["LOBBY_EMBEDDED_MODEL"]) == (model.url, "yes")
    assert given.ollama_version(model.url)
