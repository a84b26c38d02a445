import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from lobby.embedded import child, postgres
from lobby.embedded.child import Child, StartFailed
from tests.waiting import wait_for

Start = Callable[[], Child]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    started: list[Child] = []

    def start_one() -> Child:
        started.append(postgres.start(tmp_path, durable=False))
        return started[-1]

    yield start_one
    for server in started:
        server.stop()


def write(server: Child, text: str) -> None:
    with psycopg.connect(server.url) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS note (text text)")
        connection.execute("INSERT INTO note VALUES (%s)", [text])


def notes(server: Child) -> list[str]:
    with psycopg.connect(server.url) as connection:
        return [text for (text,) in connection.execute("SELECT text FROM note")]


def test_it_is_postgresql_18_with_pgvector(start: Start) -> None:
    with psycopg.connect(start().url) as connection:
        assert connection.info.server_version // 10_000 == 18
        connection.execute("CREATE EXTENSION vector")


def test_rows_outlive_a_stop(start: Start) -> None:
    server = start()
    write(server, "kept")
    server.stop()
    assert notes(start()) == ["kept"]


def test_rows_outlive_a_killed_server_and_the_address_stays(start: Start) -> None:
    first = start()
    write(first, "kept")
    os.kill(first.pid, signal.SIGKILL)
    first.process.wait()
    second = start()
    assert notes(second) == ["kept"]
    assert second.url == first.url


def test_a_server_left_over_on_the_same_data_is_stopped_first(start: Start, tmp_path: Path) -> None:
    first = start()
    first.pid_file.unlink()  # as if written by somebody else: only PostgreSQL's own file names it
    second = start()
    assert first.process.wait(60) == 0
    assert second.process.poll() is None


def test_a_pid_file_whose_number_is_another_process_by_now_does_no_harm(start: Start, tmp_path: Path) -> None:
    start().stop()
    (tmp_path / "postgres" / "postmaster.pid").write_text(f"{os.getpid()}\n{tmp_path / 'postgres'}\n")
    assert start().process.poll() is None


def test_a_half_made_cluster_is_made_anew(start: Start, tmp_path: Path) -> None:
    (tmp_path / "postgres.new").mkdir()
    (tmp_path / "postgres.new" / "PG_VERSION").write_text("18\n")
    assert start().process.poll() is None


def test_data_of_another_version_is_refused_and_left_alone(start: Start, tmp_path: Path) -> None:
    (tmp_path / "postgres").mkdir()
    (tmp_path / "postgres" / "PG_VERSION").write_text("16\n")
    with pytest.raises(StartFailed, match="was made by PostgreSQL 16, this is PostgreSQL 18"):
        start()
    assert [path.name for path in (tmp_path / "postgres").iterdir()] == ["PG_VERSION"]


def test_only_its_user_can_reach_data_and_socket(start: Start, tmp_path: Path) -> None:
    start()
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("postgres", "run", "logs")]
    assert modes == [0o700, 0o700, 0o700]


def test_it_listens_on_no_network_port(start: Start) -> None:
    server = psutil.Process(start().pid)
    assert [socket for socket in server.net_connections(kind="inet") if socket.status == psutil.CONN_LISTEN] == []


def test_a_home_too_deep_for_a_socket_gets_a_private_short_folder(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 100)
    deep.mkdir()
    server = postgres.start(deep, durable=False)
    try:
        folder = postgres.socket_folder(deep)
        assert not folder.is_relative_to(deep)
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        write(server, "reached")
    finally:
        server.stop()
        folder.rmdir()


def test_a_short_folder_that_others_can_open_is_refused(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 100)
    folder = postgres.socket_folder(deep)
    folder.chmod(0o755)
    with pytest.raises(StartFailed, match="not a private folder"):
        postgres.socket_folder(deep)
    folder.rmdir()


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's leash is Linux's; elsewhere the next start cleans up")
def test_it_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    script = (
        "import os, sys; from pathlib import Path; from lobby.embedded import postgres;"
        "print(postgres.start(Path(sys.argv[1]), durable=False).pid, flush=True); os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL
    wait_for(lambda: child.is_gone(int(done.stdout)))


def test_a_checkout_that_only_root_can_open_is_no_obstacle(tmp_path: Path) -> None:
    """Initdb asks by access() whether its fellows are there, as in root's own home."""
    closed = child.folder(tmp_path, "closed") / "program"
    closed.touch(mode=0o700)
    owner = postgres.owner_for_root(tmp_path / "postgres")
    ask = (sys.executable, "-c", "import os, sys; sys.exit(not os.access(sys.argv[1], os.X_OK))", str(closed))
    subprocess.run([*child.leash(stop_signal=signal.SIGTERM, owner=owner), *ask], check=True)
