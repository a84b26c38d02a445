"""Child processes: started on a leash, with a log and a pid file, and stopped for certain."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep

import psutil

from lobby.embedded.programs import PROJECT

LEASH = Path(__file__).with_name("leash.py")
POLL = 0.02  # seconds between looks at a starting program
CLOCK_STEP = 5  # seconds by which the system's idea of when a process began may move
LOG_LIMIT = 5 * 1024 * 1024  # bytes; a larger log is set aside as .log.1 when its program starts


class StartFailed(Exception):
    """A program did not start, or did not become ready; the text is for the user."""


@dataclass(frozen=True)
class Child:
    """A running program. `url` is where it answers, empty for one that does not listen."""

    name: str
    process: subprocess.Popen[bytes]
    pid_file: Path
    url: str = ""
    stop_signal: int = signal.SIGTERM

    @property
    def pid(self) -> int:
        return self.process.pid

    def ask_to_stop(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(self.stop_signal)

    def stop(self, *, patience: float = 8) -> None:
        """Ask, wait `patience` seconds, then kill."""
        self.ask_to_stop()
        self.await_end(patience=patience)

    def await_end(self, *, patience: float) -> None:
        """For one that was asked to stop: some programs take a second asking for an order to drop everything."""
        try:
            self.process.wait(patience)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.pid_file.unlink(missing_ok=True)


def spawn(  # noqa: PLR0913 - what a process is made of
    command: Sequence[str | Path],
    *,
    name: str,
    home: Path,
    url: str = "",
    env: Mapping[str, str] | None = None,
    owner: str = "",
    stop_signal: int = signal.SIGTERM,
    feed: bytes = b"",
) -> Child:
    """Start `command`, first ending what a killed predecessor of the same name left in this `home`.

    `feed` is written to its standard input; `owner` (`uid:gid`) is for a program that refuses to run as root.
    """
    pid_file = folder(home, "run") / f"{name}.pid"
    end_leftover(pid_file)
    log_path = log_file(home, name=name)
    set_aside(log_path)
    with log_path.open("ab") as log:
        process = subprocess.Popen(
            [*leash(stop_signal=stop_signal, owner=owner), *map(str, command)],
            stdin=subprocess.PIPE if feed else subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=PROJECT,
            env=None if env is None else dict(env),
            start_new_session=True,  # Ctrl-C is for the supervisor, which stops the others in order
        )
    created = psutil.Process(process.pid).create_time()
    pid_file.write_text(f"{process.pid} {created} {int(stop_signal)}")
    if process.stdin:
        with suppress(BrokenPipeError), process.stdin as pipe:  # it may be gone already; its log says why
            pipe.write(feed)
    return Child(name, process, pid_file, url, stop_signal)


def leash(*, stop_signal: int, owner: str = "") -> list[str]:
    options = ["--parent", str(os.getpid()), "--signal", str(int(stop_signal))]
    if owner:
        options += ["--owner", owner]
    return [sys.executable, "-I", "-S", str(LEASH), *options, "--"]


def folder(home: Path, name: str) -> Path:
    """A folder of `home` that only its owner can open."""
    path = home / name
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


def log_file(home: Path, *, name: str) -> Path:
    return folder(home, "logs") / f"{name}.log"


def set_aside(log: Path) -> None:
    if log.exists() and log.stat().st_size > LOG_LIMIT:
        log.replace(log.with_suffix(".log.1"))


def end_leftovers(home: Path) -> None:
    """End what a killed supervisor of this `home` left behind."""
    pid_files = sorted(folder(home, "run").glob("*.pid"))
    for pid_file in pid_files:
        ask_leftover(pid_file)
    for pid_file in pid_files:
        end_leftover(pid_file)


def end_leftover(pid_file: Path) -> None:
    if process := ask_leftover(pid_file):
        end(process, patience=5)
    pid_file.unlink(missing_ok=True)


def ask_leftover(pid_file: Path) -> psutil.Process | None:
    """Ask the process a pid file names to stop, if that number still means the same process."""
    try:
        number, created, stop_signal = pid_file.read_text().split()
        process = psutil.Process(int(number))
        if abs(process.create_time() - float(created)) > CLOCK_STEP:
            return None
        process.send_signal(int(stop_signal))
    except (OSError, ValueError, psutil.NoSuchProcess):
        return None
    return process


def end(process: psutil.Process, *, patience: float) -> None:
    """Wait for a process that was asked to stop, then kill it."""
    deadline = monotonic() + patience
    while not is_gone(process.pid):
        if monotonic() > deadline:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        sleep(0.02)


def is_gone(pid: int) -> bool:
    """A zombie counts as gone: it holds nothing."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def wait_until(ready: Callable[[], bool], *, child: Child, patience: float, log: Path) -> None:
    """Poll `ready`; raises StartFailed with the log's last line where the child ends or takes too long."""
    deadline = monotonic() + patience
    while not ready():
        if child.process.poll() is not None:
            child.pid_file.unlink(missing_ok=True)
            raise StartFailed(f"{child.name} ended while starting: {last_line(log)} (all of it in {log})")
        if monotonic() > deadline:
            child.stop(patience=1)
            raise StartFailed(f"{child.name} was not ready after {patience:.0f} s; its log is {log}")
        sleep(POLL)


def last_line(log: Path) -> str:
    """The last error that stands at its end, else the last line: a web server says goodbye after its error."""
    lines = log.read_text(errors="replace").strip().splitlines()[-6:]
    errors = [line for line in lines if line.startswith("ERROR")]
    return (errors or lines or ["no word in its log"])[-1]
