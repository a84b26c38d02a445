"""`lobby bench debates`: what a debate takes beyond its model's own time, and what a killed worker costs it."""

import asyncio
import random
import re
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any

import psutil

from debates.models import Debate
from lobby.bench import panels, rows
from lobby.bench.figures import Figure
from lobby.bench.page import Page, connections
from lobby.bench.panels import Course
from lobby.bench.stack import Stack
from lobby.database import in_database

LOOK_EVERY = 0.1  # seconds between two looks at the database
PATIENCE = 300.0  # seconds beyond what its model needs, after which a debate counts as lost
SLOTS = 256
SCORINGS = 40
STEPS_OF_A_ROUND = ("speech", "ballot")
COURSE = ("", *STEPS_OF_A_ROUND, "probe", "verdict", "scored")
QUESTION = re.compile(r"Question: (.+)")
SEAT = re.compile(panels.name_of(0).replace("0.", r"(\d+)\."))

# Where the only worker is killed: (round, step, when). "over": the step's last run has just ended.
KILLS = (
    ((0, "speech", "mid"), (1, "ballot", "begun"), (2, "speech", "over")),
    ((0, "ballot", "over"), (1, "speech", "begun"), (2, "verdict", "mid")),
    ((0, "speech", "over"), (1, "ballot", "mid"), (2, "ballot", "over")),
)


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured."""

    single: int = 3  # one after another
    debates: int = 10  # at once
    tokens: int = 150  # of a speech
    ballot_tokens: int = 60
    rate: float = 50.0  # tokens per second of each run
    kills: int = 9
    lane_rounds: int = 5  # of the panel that has to share two slots
    lane_tokens: int = 20


@dataclass(frozen=True, slots=True)
class Stream:
    """One chat as the scripted model saw it; times are monotonic seconds."""

    question: str
    seat: int
    step: int
    asked: float
    first: float | None
    ended: float | None


@dataclass(slots=True)
class Held:
    """A debate that is held; `began` is in monotonic seconds."""

    debate: Debate
    page: Page
    began: float


@dataclass
class DebatesBench:
    stack: Stack
    size: Size
    doing: Callable[[str], None]
    figures: list[Figure] = field(default_factory=list)
    courses: list[tuple[Course, int]] = field(default_factory=list)
    """With the number of runs that there have to be."""
    lost: int = 0
    repeated: int = 0

    def __post_init__(self) -> None:
        rows.make_agent(host=self.stack.url("fake"))
        self.five, self.nine = panels.make_panel(5), panels.make_panel(9)
        self.random = random.Random(1)  # noqa: S311 - to be repeatable

    async def run(self) -> None:
        await self.warm_up()
        await self.measure_one()
        await self.measure_many()
        await self.measure_lanes()
        await self.measure_kills()
        self.add("debates that did not end", "", [self.lost], 0)
        self.add("debates with a run too many, too few or not done", "", [len(self.odd)], 0)

    @property
    def odd(self) -> list[Course]:
        return [course for course, expected in self.courses if not course.runs == course.done == expected]

    async def warm_up(self) -> None:
        self.doing("Warming up")
        self.script(tokens=5, seats=5)
        await self.hold(1, panel=self.five, rounds_held=2, tokens=5)

    async def measure_one(self) -> None:
        courses: list[Course] = []
        waits: list[float] = []
        for number in range(1, self.size.single + 1):
            self.doing(f"5 seats, 3 rounds, by itself, {number} of {self.size.single}")
            self.script(tokens=self.size.tokens, seats=5)
            held = await self.hold(1, panel=self.five, rounds_held=3)
            courses += await self.judge(held, seats=5, rounds_held=3)
            waits += await self.lane_waits(held, slots=SLOTS)
        self.add("wall time over critical path, 1 debate", "", map(ratio, courses), 1.15)
        self.add("  its wall time", "s", [course.wall for course in courses])
        self.add("  critical path of its runs, the model alone", "s", [course.critical for course in courses])
        self.add("  the same from claim to end of its longest runs", "s", [course.served for course in courses])
        self.add("first token of a lane after the barrier, 1 debate", "ms", waits, 150)
        times = await in_database(panels.scoring_times, held[0].debate, times=SCORINGS)
        self.add("scoring, 5 seats, 3 rounds", "ms", times, 50)

    async def measure_many(self) -> None:
        number = self.size.debates
        self.doing(f"{number} debates at once")
        self.script(tokens=self.size.tokens, seats=5)
        before = self.cpu()
        held = await self.hold(number, panel=self.five, rounds_held=3)
        spent = {name: seconds - before[name] for name, seconds in self.cpu().items()}
        courses = await self.judge(held, seats=5, rounds_held=3)
        self.add(f"wall time over critical path, {number} debates at once", "", map(ratio, courses), 1.5)
        self.add("  their wall time", "s", [course.wall for course in courses])
        waits = await self.lane_waits(held, slots=SLOTS)
        self.add(f"first token of a lane after the barrier, {number} debates at once", "ms", waits)
        for name, seconds in spent.items():
            self.add(f"CPU of {name} per debate", "s", [seconds / number])

    def cpu(self) -> dict[str, float]:
        """Seconds of processor time up to now."""
        stack = self.stack
        groups = {"the worker": stack.workers, "web": stack.web, "PostgreSQL": ["postgres"]}
        return {name: sum(map(cpu_of, stack.processes(names))) for name, names in groups.items()}

    async def measure_lanes(self) -> None:
        slots, tokens, held_rounds = 2, self.size.lane_tokens, self.size.lane_rounds
        self.doing(f"9 seats on a host of {slots} slots")
        self.script(tokens=tokens, seats=9, ballot_tokens=tokens)
        await in_database(panels.set_slots, self.stack.url("fake"), slots=slots)
        held = await self.hold(1, panel=self.nine, rounds_held=held_rounds, tokens=tokens)
        await in_database(panels.set_slots, self.stack.url("fake"), slots=SLOTS)
        await self.judge(held, seats=9, rounds_held=held_rounds)
        waits = await self.lane_waits(held, slots=slots)
        self.add("first token of a lane after its slot is free, 9 seats on 2 slots", "ms", waits, 150)
        times = await in_database(panels.scoring_times, held[0].debate, times=SCORINGS)
        self.add(f"scoring, 9 seats, {held_rounds} rounds", "ms", times, 50)

    async def measure_kills(self) -> None:
        recoveries: list[float] = []
        left = self.size.kills
        for kills in KILLS:
            if left > 0:
                self.doing(f"Killing the only worker {min(left, len(kills))} times in a debate")
                recoveries += await self.hold_and_kill(kills[:left])
                left -= len(kills)
        self.add("kill -9 of the only worker to the next first token", "s", recoveries, 30)
        self.add("speeches and ballots asked again after they were over", "", [self.repeated], 0)

    async def hold_and_kill(self, kills: Sequence[tuple[int, str, str]]) -> list[float]:
        self.script(tokens=self.size.tokens, seats=5)
        known: list[dict[str, tuple[str, int]]] = []
        killed: list[float] = []

        async def kill(held: Sequence[Held]) -> None:
            for moment in kills:
                await self.wait_for_moment(held[0].debate, moment)
                known.append(await in_database(panels.over, held[0].debate))
                killed.append(time.monotonic())
                self.stack.kill("worker-1")
                self.stack.start_again("worker-1")

        held = await self.hold(1, panel=self.five, rounds_held=3, meanwhile=kill)
        await self.judge(held, seats=5, rounds_held=3)
        at_end = await in_database(panels.over, held[0].debate)
        self.repeated += sum(at_end.get(row) != run for once in known for row, run in once.items())
        streams = self.streams()
        return [min(seen.first for seen in streams if seen.asked > at and seen.first) - at for at in killed]

    async def wait_for_moment(self, debate: Debate, moment: tuple[int, str, str]) -> None:
        """Returns at once when it has passed."""
        number, step, when = moment
        found = await in_database(panels.where, debate)
        while place(found) < place(moment) or (when == "over" and place(found) == place(moment) and found[2]):
            await asyncio.sleep(LOOK_EVERY / 10)
            found = await in_database(panels.where, debate)
        if when == "mid":
            await asyncio.sleep(self.random.uniform(0.2, 0.8) * self.size.ballot_tokens / self.size.rate)

    def script(self, *, tokens: int, seats: int, ballot_tokens: int = 0) -> None:
        ballot_tokens = ballot_tokens or self.size.ballot_tokens
        script_panel(self.stack, seats=seats, tokens=tokens, json_tokens=ballot_tokens, rate=self.size.rate)

    async def hold(
        self,
        number: int,
        *,
        panel: list[Any],
        rounds_held: int,
        tokens: int = 0,
        meanwhile: Callable[[Sequence[Held]], Coroutine[Any, Any, None]] | None = None,
    ) -> list[Held]:
        """That many debates at once, each of an owner who looks on, to their ends."""
        asked = {"panel": panel, "rounds_held": rounds_held, "tokens": tokens or self.size.tokens}
        bound = 2 * rounds_held * (self.size.tokens + self.size.ballot_tokens) * len(panel) / self.size.rate + PATIENCE
        async with self.pages(number) as pages:
            held = list(await asyncio.gather(*(self._start(owner, page, **asked) for owner, page in pages.items())))
            task = asyncio.create_task(meanwhile(held)) if meanwhile else None
            try:
                async with asyncio.timeout(bound):
                    await self._until_ended(held)
                    if task:
                        await task
            except TimeoutError:
                self.lost += len(held)
        return held

    async def _until_ended(self, held: Sequence[Held]) -> None:
        over = False
        while not over:
            await asyncio.sleep(LOOK_EVERY)
            over = await in_database(panels.have_ended, [each.debate for each in held])

    async def _start(self, owner: str, page: Page, **asked: Any) -> Held:
        began = time.monotonic()
        debate = await in_database(panels.start, owner=owner, question=f"What is {owner} to do?", **asked)
        await page.follow(debate.topic)
        return Held(debate, page, began)

    @asynccontextmanager
    async def pages(self, number: int) -> AsyncIterator[dict[str, Page]]:
        """By the name of the user before it, with their sockets open."""
        people = dict([await in_database(panels.make_owner) for _ in range(number)])
        async with connections() as http:
            pages = {owner: Page(http, person, base=self.stack.addresses[0]) for owner, person in people.items()}
            for page in pages.values():
                await page.connect()
            listeners = [asyncio.create_task(page.listen()) for page in pages.values()]
            yield pages
            for page in pages.values():
                await page.close()
            await asyncio.gather(*listeners)

    async def judge(self, held: Iterable[Held], *, seats: int, rounds_held: int) -> list[Course]:
        courses = [await in_database(panels.course_of, each.debate, rate=self.size.rate) for each in held]
        expected = seats * rounds_held * len(STEPS_OF_A_ROUND) + 1
        self.courses += [(course, expected) for course in courses]
        return courses

    async def lane_waits(self, held: Sequence[Held], *, slots: int) -> list[float]:
        """Milliseconds from the moment a speech could have begun to its first text on the page: the barrier before it
        was down and the host had a free slot."""
        streams = self.streams()
        found = []
        for each in held:
            mine = [stream for stream in streams if stream.question == each.debate.question]
            free = free_since(mine, slots=slots, began=each.began)
            for lane, run in (await in_database(panels.lanes_of, each.debate)).items():
                if (first := each.page.lives[run].first) and lane in free:
                    found.append(1000 * (first - free[lane]))
        return found

    def streams(self) -> list[Stream]:
        """What the scripted model was asked, in the order of asking."""
        seen = self.stack.seen()
        counts: defaultdict[str, Counter[int]] = defaultdict(Counter)
        found = []
        for body, stream in zip(seen["bodies"], seen["streams"], strict=True):
            question, seat = asked_by(body)
            count = counts[question]
            step = count[seat] if seat else max(count.values(), default=0)  # the Moderator comes after all others
            count[seat] += 1
            found.append(Stream(question, seat, step, stream["asked"], stream["first_token"], stream["ended"]))
        return found

    def add(self, what: str, unit: str, values: Iterable[float], bar: float | None = None) -> None:
        self.figures.append(Figure(what, unit, list(values), bar))


def script_panel(stack: Stack, *, seats: int, turn: int = 0, **spoken: float) -> None:
    """What the scripted model says for a panel: as many seats for each answer, the same ones until the next turn."""
    stack.order("reset")
    stack.order("script", **spoken)
    for seat in range(1, seats + 1):
        vote = panels.OPTIONS[(seat + turn) % len(panels.OPTIONS)]
        stack.order("script", containing=panels.name_of(seat), votes=vote, **spoken)


def ratio(course: Course) -> float:
    return course.wall / course.critical


def cpu_of(process: psutil.Process) -> float:
    """With the processes it has started."""
    total = 0.0
    for each in [process, *process.children(recursive=True)]:
        with suppress(psutil.NoSuchProcess):
            total += sum(each.cpu_times()[:2])
    return total


def place(moment: tuple[int, str, Any]) -> tuple[int, int]:
    number, step, _ = moment
    return number, COURSE.index(step)


def asked_by(body: dict[str, Any]) -> tuple[str, int]:
    """(question, seat) of a request to the model."""
    text = "\n".join(message["content"] for message in body["messages"])
    question, seat = QUESTION.search(text), SEAT.search(text)
    return question[1] if question else "", int(seat[1]) if seat else 0


def free_since(streams: Sequence[Stream], *, slots: int, began: float) -> dict[tuple[int, int], float]:
    """When each (seat, step) of a debate that has a host to itself could have begun.

    That is when all steps before it were over and so many chats had ended that a slot was free; `began`: the debate.
    """
    ends = sorted(stream.ended for stream in streams if stream.ended)
    found = {}
    for number, stream in enumerate(sorted(streams, key=attrgetter("asked"))):
        barrier = max((other.ended or 0.0 for other in streams if other.step < stream.step), default=began)
        slot = ends[number - slots] if number >= slots else began
        found[stream.seat, stream.step] = max(barrier, slot)
    return found
