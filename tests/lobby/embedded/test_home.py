import socket
import stat
from pathlib import Path

import pytest

from lobby.embedded import home as homes
from lobby.embedded.child import StartFailed
from lobby.embedded.up import address_of, names_of


def test_a_new_home_is_closed_to_other_users(tmp_path: Path) -> None:
    home = tmp_path / "new" / "home"
    homes.open_home(home)
    assert stat.S_IMODE(home.stat().st_mode) == 0o700


def test_a_home_that_was_open_is_closed(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    homes.open_home(tmp_path)
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o700


def test_a_folder_with_other_things_in_it_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "thesis.odt").touch()
    tmp_path.chmod(0o755)
    with pytest.raises(StartFailed, match="holds other things"):
        homes.open_home(tmp_path)
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755


def test_a_home_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "home").touch()
    with pytest.raises(StartFailed, match="can't be written to: File exists"):
        homes.open_home(tmp_path / "home")


def test_a_port_is_kept_from_one_start_to_the_next(tmp_path: Path) -> None:
    assert homes.kept_port(tmp_path, name="model") == homes.kept_port(tmp_path, name="model")


def test_a_kept_port_that_another_took_is_replaced(tmp_path: Path) -> None:
    first = homes.kept_port(tmp_path, name="model")
    with socket.create_server(("127.0.0.1", first)):
        second = homes.kept_port(tmp_path, name="model")
    assert second != first
    assert homes.kept_port(tmp_path, name="model") == second


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("127.0.0.1", "http://127.0.0.1:8000"),
        ("0.0.0.0", "http://localhost:8000"),
        ("::", "http://localhost:8000"),
        ("::1", "http://[::1]:8000"),
        ("lobby.local", "http://lobby.local:8000"),
    ],
)
def test_the_address_is_one_that_a_browser_here_can_open(host: str, address: str) -> None:
    assert address_of(host=host, port=8000) == address


def test_only_the_names_of_this_machine_are_answered_to() -> None:
    local = ["localhost", "127.0.0.1", "[::1]"]
    assert names_of("127.0.0.1") == local
    assert names_of("10.0.0.7") == [*local, "10.0.0.7"]
    assert set(names_of("0.0.0.0")) > {*local, socket.gethostname()}
