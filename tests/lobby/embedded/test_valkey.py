import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from secrets import token_urlsafe

import psutil
import pytest
import redis

from lobby.embedded import valkey
from lobby.embedded.child import Child, StartFailed
from tests.ports import reserved

Address = tuple[int, str]
Start = Callable[[Address], Child]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    started: list[Child] = []

    def start_one(address: Address) -> Child:
        started.append(valkey.start(tmp_path, address=address))
        return started[-1]

    yield start_one
    for server in started:
        server.stop()


@pytest.fixture
def address() -> Iterator[Address]:
    with reserved() as port:
        yield port, token_urlsafe()


def test_it_is_valkey_9(start: Start, address: Address) -> None:
    with redis.Redis.from_url(start(address).url) as client:
        assert client.info("server")["valkey_version"].split(".")[0] == "9"


def test_without_the_password_it_answers_nothing(start: Start, address: Address) -> None:
    port, password = address
    server = start((port, password))
    with redis.Redis(port=port, retry=valkey.ONCE) as stranger, pytest.raises(redis.AuthenticationError):
        stranger.ping()
    assert password not in " ".join(psutil.Process(server.pid).cmdline())


def test_it_listens_on_loopback_alone(start: Start, address: Address) -> None:
    port, password = address
    server = psutil.Process(start((port, password)).pid)
    listening = [each.laddr for each in server.net_connections(kind="inet") if each.status == psutil.CONN_LISTEN]
    assert listening == [("127.0.0.1", port)]


def test_what_it_took_outlives_a_kill_and_the_address_stays(start: Start, address: Address) -> None:
    first = start(address)
    with redis.Redis.from_url(first.url) as client:
        client.xadd("stream", {"text": "kept"}, id="1-1")
    os.kill(first.pid, signal.SIGKILL)
    first.process.wait()
    second = start(address)
    assert second.url == first.url
    with redis.Redis.from_url(second.url, decode_responses=True) as client:
        assert client.xrange("stream") == [("1-1", {"text": "kept"})]


def test_a_port_taken_meanwhile_is_told_with_the_reason(start: Start, address: Address, tmp_path: Path) -> None:
    port, password = address
    start((port, password))
    with pytest.raises(StartFailed, match="valkey ended while starting: .*Failed listening on port"):
        valkey.start(tmp_path / "other", address=(port, "another"))
