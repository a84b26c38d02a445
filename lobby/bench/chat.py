"""`lobby bench chat`: what a person notices, and what it costs."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import orjson
import redis

from agents.models import Agent
from lobby.bench import rows
from lobby.bench.browsers import Kind, Plan, Reply, Report
from lobby.bench.figures import Figure
from lobby.bench.stack import Stack
from lobby.embedded import child
from lobby.embedded.programs import PROJECT

SEQUENCE = 40  # questions one after another
SHORT = 20  # tokens of their replies
STOPS, STOPPING_PAGES = 32, 4
LONG = 1000  # tokens of a reply that is to be stopped
SILENCE = 60.0  # seconds the model says nothing before it is stopped
TELLING = 11.0  # seconds after which PostgreSQL's idle processes have told their counts
WARM_UP = 2  # rounds that count for nothing
MIB = 2**20


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured."""

    chats: list[int]
    tokens: int = 200
    rate: float = 50.0
    rounds: int = 3
    sequence: int = SEQUENCE
    stops: int = STOPS
    idle_sockets: int = 0
    idle_seconds: float = 30.0
    with_rows: bool = True
    """Count what is written in PostgreSQL, whose processes tell it after 10 s of rest."""


@dataclass(slots=True)
class Cost:
    """What a phase took."""

    seconds: float = 0.0
    cpu: float = 0.0  # seconds of web and workers
    redis: int = 0  # commands that write
    postgres: int = 0  # rows written, in all tables
    runs_table: int = 0  # of them in agents_run


@dataclass
class ChatBench:
    stack: Stack
    agent: Agent
    size: Size
    doing: Callable[[str], None]
    figures: list[Figure] = field(default_factory=list)
    replies: list[Reply] = field(default_factory=list)
    dropped: int = 0

    def run(self) -> None:
        self.warm_up()
        self.measure_memory("idle")
        self.measure_one()
        for chats in self.size.chats:
            if chats > 1:
                self.measure_many(chats)
        self.measure_stops()
        if self.size.idle_sockets:
            self.measure_idle_sockets()
        self.measure_memory("after all of it", web=150, worker=170)
        self.figures.append(Figure("replies that failed, or lost or repeated a character", "", [len(self.failed)], 0))

    @property
    def failed(self) -> list[Reply]:
        return [reply for reply in self.replies if not reply.whole]

    def warm_up(self) -> None:
        self.doing("Warming up")
        self.visit("together", pages=4, rounds=WARM_UP, tokens=SHORT)

    def measure_one(self) -> None:
        self.doing(f"1 chat, {self.size.sequence} questions one after another")
        report, _ = self.visit("together", pages=1, rounds=self.size.sequence, tokens=SHORT)
        self.count(report)
        self.add("added time to first token, 1 chat", "ms", waits(report.replies), 30)
        self.add_parts(report, "1 chat")

    def measure_many(self, chats: int) -> None:
        self.measure_together(chats)
        self.measure_staggered(chats)

    def measure_together(self, chats: int) -> None:
        self.doing(f"{chats} chats, all asking at the same moment, {self.size.rounds} rounds")
        report, _ = self.visit("together", pages=chats, rounds=self.size.rounds)
        self.count(report)
        self.add(f"added time to first token, {chats} chats at once", "ms", waits(report.replies))
        self.add(f"whole reply, {chats} chats at once", "s", lengths(report.replies), self.length_bar)

    def measure_staggered(self, chats: int) -> None:
        self.doing(f"{chats} chats, each asking in its own time, {self.size.rounds} rounds")
        report, cost = self.visit("staggered", pages=chats, rounds=self.size.rounds, with_rows=self.size.with_rows)
        self.count(report)
        bar = 150 if chats <= 50 else None  # noqa: PLR2004 - design: runs.md
        self.add(f"added time to first token, {chats} chats in their own time", "ms", waits(report.replies), bar)
        self.add(f"whole reply, {chats} chats in their own time", "s", lengths(report.replies), self.length_bar)
        self.add_parts(report, f"{chats} chats")
        self.add_cost(report, cost, chats=chats)

    def add_parts(self, report: Report, words: str) -> None:
        """Where the time to the first token goes."""
        seen = self.stack.seen()
        pairs = zip(seen["bodies"], seen["streams"], strict=True)
        streams = {body["messages"][-1]["content"]: stream for body, stream in pairs}
        replies = [(reply, streams[reply.question]) for reply in report.replies if reply.question in streams]
        asked = [1000 * (stream["asked"] - reply.posted) for reply, stream in replies]
        said = [1000 * (reply.first - stream["first_token"]) for reply, stream in replies if reply.first]
        self.add(f"  of it from the question to the model, {words}", "ms", asked)
        self.add(f"  of it from the model's first token to the page, {words}", "ms", said)

    def add_cost(self, report: Report, cost: Cost, *, chats: int) -> None:
        thousands = len(report.replies) * self.size.tokens / 1000
        run_seconds = sum(reply.ended - reply.posted for reply in report.replies if reply.ended)
        frames = [float(reply.frames) for reply in report.replies]
        bar = 0.20 if chats == 50 else None  # noqa: PLR2004 - design: runs.md
        self.add(f"CPU of web and worker per 1,000 tokens, {chats} chats", "s", [cost.cpu / thousands], bar)
        self.add(f"CPU of the pages themselves per 1,000 tokens, {chats} chats", "s", [report.cpu / thousands])
        self.add(f"Redis writes per run, {chats} chats", "1/s", [cost.redis / run_seconds], 40)
        self.add(f"frames of a reply, {chats} chats", "", frames)
        if self.size.with_rows:
            progress = cost.runs_table - len(("asked", "begun", "ended")) * len(report.replies)
            self.add(f"progress writes of a run's row, {chats} chats", "1/s", [progress / run_seconds], 1)
            self.add(f"rows written in PostgreSQL per reply, {chats} chats", "", [cost.postgres / len(report.replies)])

    def measure_stops(self) -> None:
        for kind, words, delay in (("stop", "mid-reply", 0.0), ("stop-early", "before the first token", SILENCE)):
            self.doing(f"Stopping {self.size.stops} replies {words}")
            self.add(f"stop to closed connection, {words}", "ms", self.stop_times(kind, delay=delay), 300)  # type: ignore[arg-type]

    def stop_times(self, kind: Kind, *, delay: float) -> list[float]:
        pages = min(STOPPING_PAGES, self.size.stops)
        report, _ = self.visit(kind, pages=pages, rounds=-(-self.size.stops // pages), tokens=LONG, delay=delay)
        closed = self.closings()
        missed = [reply for reply in report.replies if reply.question not in closed or reply.status != "cancelled"]
        self.replies += [replace(reply, whole=False) for reply in missed]
        stopped = [reply for reply in report.replies if reply not in missed]
        return [1000 * (closed[reply.question] - (reply.stopped or 0.0)) for reply in stopped]

    def closings(self) -> dict[str, float]:
        """When the model's server saw the client of each question leave."""
        seen = self.stack.seen()
        pairs = zip(seen["bodies"], seen["streams"], strict=True)
        return {body["messages"][-1]["content"]: each["ended"] for body, each in pairs if each["end"] == "left"}

    def measure_idle_sockets(self) -> None:
        number, seconds = self.size.idle_sockets, self.size.idle_seconds
        self.doing(f"{number} idle sockets for {seconds:g} s")
        before = self.memory(self.stack.web)
        held: list[float] = []
        report, _ = self.visit("idle", pages=number, seconds=seconds, at_end=lambda: held.extend(self.memory_now()))
        self.dropped += report.dropped
        grown = (sum(held) - sum(before)) * 1024 / number
        self.add(f"memory of an idle socket, {number} of them", "KiB", [grown], 60)
        self.add(f"idle sockets dropped in {seconds:g} s", "", [report.dropped], 0)

    def memory_now(self) -> list[float]:
        return self.memory(self.stack.web)

    def measure_memory(self, when: str, *, web: float | None = None, worker: float | None = None) -> None:
        self.add(f"memory of a web process, {when}", "MiB", [max(self.memory(self.stack.web))], web)
        self.add(f"memory of a worker, {when}", "MiB", [max(self.memory(self.stack.workers))], worker)

    def memory(self, names: list[str]) -> list[float]:
        return [process.memory_info().rss / MIB for process in self.stack.processes(names)]

    def visit(  # noqa: PLR0913 - what one phase differs in from another
        self,
        kind: Kind,
        *,
        pages: int,
        rounds: int = 1,
        tokens: int = 0,
        delay: float = 0.0,
        seconds: float = 0.0,
        with_rows: bool = False,
        at_end: Callable[[], None] = lambda: None,
    ) -> tuple[Report, Cost]:
        """One phase with pages, people and a scripted model of its own."""
        tokens = tokens or self.size.tokens
        self.stack.order("reset")
        self.stack.order("script", tokens=tokens, rate=self.size.rate, per_prompt=True, first_token_delay=delay)
        people = rows.make_people(pages, agent=self.agent)
        plan = Plan(kind, people, self.stack.addresses, rounds, tokens, self.size.rate, seconds)
        cost = Cost()
        with browsers(plan) as pages_process, self.metered(cost, with_rows=with_rows):
            report = pages_process.run()
            at_end()
            pages_process.let_go()
        return report, cost

    @contextmanager
    def metered(self, cost: Cost, *, with_rows: bool) -> Iterator[None]:
        if with_rows:
            time.sleep(TELLING)
            cost.postgres, cost.runs_table = -rows.written(), -rows.written(tables=["agents_run"])
        cost.redis, cost.cpu, began = -self.redis_writes(), -self.cpu(), time.monotonic()
        yield
        cost.seconds = time.monotonic() - began
        cost.cpu += self.cpu()
        cost.redis += self.redis_writes()
        if with_rows:
            time.sleep(TELLING)
            cost.postgres += rows.written()
            cost.runs_table += rows.written(tables=["agents_run"])

    def cpu(self) -> float:
        processes = self.stack.processes([*self.stack.web, *self.stack.workers])
        return sum(sum(process.cpu_times()[:2]) for process in processes)

    def redis_writes(self) -> int:
        with redis.Redis.from_url(self.stack.url("valkey")) as client:
            commands: Any = client.command()
            writing = {name for name, command in commands.items() if "write" in command["flags"]}
            counts: Any = client.info("commandstats")
        return sum(told["calls"] for name, told in counts.items() if name.removeprefix("cmdstat_") in writing)

    @property
    def length_bar(self) -> float:
        """What the model itself needs, and 7.5 % on top: 4.3 s for 200 tokens at 50 a second."""
        return 1.075 * self.size.tokens / self.size.rate

    def count(self, report: Report) -> None:
        self.replies += report.replies
        self.dropped += report.dropped

    def add(self, what: str, unit: str, values: Iterable[float], bar: float | None = None) -> None:
        self.figures.append(Figure(what, unit, list(values), bar))


class BrowsersProcess:
    """`lobby.bench.browsers`, with every page attached and waiting for its start."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self.process = process

    def tell(self, line: bytes) -> None:
        assert self.process.stdin is not None  # noqa: S101 - opened as a pipe
        self.process.stdin.write(line + b"\n")
        self.process.stdin.flush()

    def hear(self) -> bytes:
        assert self.process.stdout is not None  # noqa: S101
        line = self.process.stdout.readline()
        if not line:
            raise child.StartFailed(f"the pages of the bench ended with code {self.process.wait()}")
        return line

    def run(self) -> Report:
        self.tell(b"go")
        found = orjson.loads(self.hear())
        return Report(**found | {"replies": [Reply(**reply) for reply in found["replies"]]})

    def let_go(self) -> None:
        """Its sockets close."""
        self.tell(b"")


@contextmanager
def browsers(plan: Plan) -> Iterator[BrowsersProcess]:
    command = [*child.leash(stop_signal=15), sys.executable, "-m", "lobby.bench.browsers"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=PROJECT) as process:  # noqa: S603 - ours
        pages = BrowsersProcess(process)
        try:
            pages.tell(orjson.dumps(asdict(plan)))
            pages.hear()
            yield pages
        except BaseException:  # whatever ends this, the pages must not outlive it
            process.kill()
            raise


def waits(replies: Iterable[Reply]) -> list[float]:
    """Milliseconds from the question to the first text on the page; the model itself takes none."""
    return [1000 * (reply.first - reply.posted) for reply in replies if reply.first]


def lengths(replies: Iterable[Reply]) -> list[float]:
    """Seconds from the question to the end on the page."""
    return [reply.ended - reply.posted for reply in replies if reply.ended]
