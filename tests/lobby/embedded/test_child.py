"""What is said of a process that ended before it was ready."""

import socket
from pathlib import Path

import pytest

from lobby.embedded import child, programs
from lobby.embedded.child import StartFailed, last_line


def test_a_web_server_that_finds_its_port_taken_says_so_and_not_goodbye(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        web = child.spawn(programs.web(host="127.0.0.1", port=port), name="web", home=tmp_path)
        log = child.log_file(tmp_path, name="web")

        with pytest.raises(StartFailed, match=rf"web ended while starting: ERROR: .*'127.0.0.1', {port}.*in use"):
            child.wait_until(lambda: False, child=web, patience=120, log=log)


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("", "no word in its log"),
        ("one\ntwo\n", "two"),
        ("ERROR: port in use\nINFO: goodbye\n", "ERROR: port in use"),
        ("ERROR: of an earlier start\n" + "INFO: fine\n" * 6, "INFO: fine"),
    ],
)
def test_last_line_is_the_last_error_at_the_end(tmp_path: Path, written: str, told: str) -> None:
    log = tmp_path / "log"
    log.write_text(written)

    assert last_line(log) == told
