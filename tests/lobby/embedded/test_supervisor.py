import os
import shutil
import signal
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from time import monotonic

import pytest

from lobby.embedded import child
from lobby.embedded.child import Child, StartFailed
from lobby.embedded.supervisor import HEALTHY, LONGEST_DELAY, Supervisor
from tests.waiting import wait_for

SLEEPS = [shutil.which("sleep") or "", "600"]
SHELL = shutil.which("sh") or ""


class Watched:
    """A supervisor with the lines it said."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.lines: list[str] = []
        self.supervisor = Supervisor(say=self.lines.append)

    def add(self, *command: str, name: str = "part", stops: int = 1) -> Child:
        return self.supervisor.add(partial(child.spawn, command, name=name, home=self.home), stops=stops)

    def look_until(self, *, lines: int) -> list[str]:
        def enough() -> bool:
            self.supervisor.look_once()
            return len(self.lines) >= lines

        wait_for(enough)
        return self.lines


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    watched = Watched(tmp_path)
    yield watched
    watched.supervisor.stop()


def test_a_killed_child_is_started_again_and_both_are_said(watched: Watched) -> None:
    first = watched.add(*SLEEPS)
    os.kill(first.pid, signal.SIGKILL)
    second = watched.supervisor.parts[0]
    lines = watched.look_until(lines=2)
    assert lines == [
        "part was ended by SIGKILL, starting it again in 0.5 s",
        f"part runs again (process {second.child.pid})",
    ]
    assert second.child.pid != first.pid


def test_a_child_that_keeps_ending_waits_twice_as_long_each_time(watched: Watched) -> None:
    watched.add(SHELL, "-c", "exit 3")
    deaths = [line for line in watched.look_until(lines=5) if "ended" in line]
    assert deaths == [f"part ended with code 3, starting it again in {delay} s" for delay in ("0.5", "1", "2")]


def test_the_wait_has_a_longest(watched: Watched) -> None:
    os.kill(watched.add(*SLEEPS).pid, signal.SIGKILL)
    part = watched.supervisor.parts[0]
    part.delay = LONGEST_DELAY
    assert watched.look_until(lines=1) == ["part was ended by SIGKILL, starting it again in 30 s"]
    assert part.delay == LONGEST_DELAY


def test_earlier_deaths_are_forgotten_after_a_healthy_minute(watched: Watched) -> None:
    os.kill(watched.add(*SLEEPS).pid, signal.SIGKILL)
    part = watched.supervisor.parts[0]
    part.delay, part.started = LONGEST_DELAY, monotonic() - HEALTHY - 1
    assert watched.look_until(lines=1) == ["part was ended by SIGKILL, starting it again in 0.5 s"]


def test_a_start_that_fails_later_is_said_and_tried_again(watched: Watched, tmp_path: Path) -> None:
    answers = iter([None, "no room", None])

    def start() -> Child:
        if reason := next(answers):
            raise StartFailed(reason)
        return child.spawn(SLEEPS, name="part", home=tmp_path)

    os.kill(watched.supervisor.add(start, stops=1).pid, signal.SIGKILL)
    assert watched.look_until(lines=3)[1:] == [
        "no room; next try in 1 s",
        f"part runs again (process {watched.supervisor.parts[0].child.pid})",
    ]


def test_a_start_that_fails_at_first_is_the_callers(watched: Watched) -> None:
    def start() -> Child:
        raise StartFailed("no room")

    with pytest.raises(StartFailed, match="no room"):
        watched.supervisor.add(start, stops=1)
    assert watched.supervisor.parts == []


def test_children_stop_in_their_order(watched: Watched, tmp_path: Path) -> None:
    log = tmp_path / "order"
    log.touch()
    for name, stops in (("last", 3), ("first", 1), ("second", 2)):
        script = f"trap 'echo {name} >>{log}; exit' TERM; echo up >>{log}; while :; do sleep 0.02; done"
        watched.add(SHELL, "-c", script, name=name, stops=stops)
    wait_for(lambda: log.read_text().count("up") == 3)
    watched.supervisor.stop()
    assert log.read_text().split()[3:] == ["first", "second", "last"]


def test_a_child_deaf_to_signals_is_killed(tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    deaf = child.spawn([SHELL, "-c", f"trap '' TERM; touch {ready}; sleep 600 & wait"], name="deaf", home=tmp_path)
    wait_for(ready.exists)
    deaf.stop(patience=0.1)
    assert deaf.process.returncode == -signal.SIGKILL


def test_a_large_log_is_set_aside_at_the_next_start(tmp_path: Path) -> None:
    log = child.log_file(tmp_path, name="part")
    log.write_bytes(b"x" * (child.LOG_LIMIT + 1))
    child.spawn([SHELL, "-c", "echo new"], name="part", home=tmp_path).process.wait()
    assert log.read_text() == "new\n"
    assert log.with_suffix(".log.1").stat().st_size == child.LOG_LIMIT + 1
