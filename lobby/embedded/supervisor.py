"""Keeps child processes running: a dead one is started again, the more slowly the more often it dies."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import monotonic, sleep

from lobby.embedded.child import Child, StartFailed

FIRST_DELAY = 0.5  # seconds, doubling to
LONGEST_DELAY = 30.0
HEALTHY = 60.0  # seconds after which earlier deaths are forgotten
STOPPING = 4.0  # seconds for all that stop together; then they are killed
GLANCE = 0.1  # seconds between looks at the children


@dataclass
class Part:
    start: Callable[[], Child]
    child: Child
    stops: int
    started: float = field(default_factory=monotonic)
    delay: float = FIRST_DELAY
    again_at: float | None = None  # set while it is down


class Supervisor:
    """`say` gets a line for the user for every death and every return."""

    def __init__(self, *, say: Callable[[str], None]) -> None:
        self.parts: list[Part] = []
        self.say = say

    def add(self, start: Callable[[], Child], *, stops: int) -> Child:
        """Start a child now, and again whenever it dies. Raises StartFailed, but for this first time only.

        Children stop in the order of `stops`, those with the same number together.
        """
        child = start()
        self.parts.append(Part(start, child, stops))
        return child

    def watch(self) -> None:
        """For ever; ends by an exception, such as that of a signal."""
        while True:
            self.look_once()
            sleep(GLANCE)

    def look_once(self) -> None:
        now = monotonic()
        for part in self.parts:
            if part.again_at is None:
                self.notice_death(part, now=now)
            elif now >= part.again_at:
                self.start_again(part)

    def notice_death(self, part: Part, *, now: float) -> None:
        code = part.child.process.poll()
        if code is None:
            return
        if now - part.started > HEALTHY:
            part.delay = FIRST_DELAY
        self.say(f"{part.child.name} {cause(code)}, starting it again in {part.delay:g} s")
        self.postpone(part, now=now)

    def start_again(self, part: Part) -> None:
        try:
            part.child = part.start()
        except (StartFailed, OSError) as error:  # a full disk, say, which somebody may empty
            self.say(f"{error}; next try in {part.delay:g} s")
            self.postpone(part, now=monotonic())
            return
        part.started, part.again_at = monotonic(), None
        self.say(f"{part.child.name} runs again (process {part.child.pid})")

    def postpone(self, part: Part, *, now: float) -> None:
        part.again_at = now + part.delay
        part.delay = min(part.delay * 2, LONGEST_DELAY)

    def stop(self) -> None:
        for number in sorted({part.stops for part in self.parts}):
            group = [part.child for part in self.parts if part.stops == number]
            for child in group:
                child.ask_to_stop()
            deadline = monotonic() + STOPPING
            for child in group:
                child.await_end(patience=max(0.0, deadline - monotonic()))


def cause(code: int) -> str:
    if code < 0:
        return f"was ended by {signal.Signals(-code).name}"
    return f"ended with code {code}"


@contextmanager
def interrupted_by_signals() -> Iterator[None]:
    """SIGTERM and SIGHUP act as Ctrl-C does; on leaving all three are ignored, so that stopping is not cut short."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job begins with it ignored
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # as nohup leaves it
        signal.signal(signal.SIGHUP, signal.default_int_handler)
    try:
        yield
    finally:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
