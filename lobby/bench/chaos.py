"""`lobby bench chaos`: chats go on while processes are killed, frozen and restarted and pages reload and lose their
network. Every reply has to end whole, in the database and on its page."""

import asyncio
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field

import aiohttp

from agents.models import Agent
from lobby.bench import rows
from lobby.bench.figures import Figure
from lobby.bench.page import Page, Person, Refusal, Unreachable, connections
from lobby.bench.stack import Stack
from lobby.database import in_database
from tests.fake_ollama.script import expected_text

# Share of each among the counted actions, and the pause after it, in seconds. A worker gets time for most of its
# replies: a run whose worker dies three times is given up by design.
ACTIONS = {
    "kill a worker": (15, (5.0, 8.0)),
    "kill a web process": (15, (2.0, 4.0)),
    "reload a page": (35, (0.2, 1.2)),
    "cut a socket": (35, (0.2, 1.2)),
}
FREEZE_EVERY, RESTART_EVERY = 60, 50  # counted actions; these two come on top
FROZEN = 18.0  # seconds: longer than a lease
LONGEST_RECOVERY = 30.0  # seconds
BOUND = 300.0  # seconds after which a reply counts as lost
REPLIES_OF_A_CHAT = 8  # then the page goes to another conversation
RECONNECT = 0.2  # seconds
REQUEST_PATIENCE = 60.0


@dataclass(slots=True)
class Asked:
    """One question and what became of its reply."""

    question: str
    run: str = ""
    message: str = ""
    seconds: float = 0.0
    status: str = ""
    heard: str = ""  # what the socket brought
    shown: str = ""  # what the page has in the end
    attempts: dict[int, float] = field(default_factory=dict)
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Victim:
    """A run whose worker was killed, or frozen, at that time (monotonic seconds)."""

    run: str
    attempt: int
    at: float
    frozen: bool = False


class Chat:
    """A person who asks, waits for the reply whatever happens, and asks again."""

    def __init__(self, http: aiohttp.ClientSession, people: list[Person], *, addresses: list[str], tokens: int) -> None:
        self.http = http
        self.people = people
        self.addresses = addresses
        self.tokens = tokens
        self.done: list[Asked] = []
        self.current = Asked("")
        self.gaps = self.server_errors = 0
        self.page = self._new_page()

    async def talk(self, *, until: asyncio.Event) -> None:
        connection = asyncio.create_task(self._stay_connected())
        try:
            while not until.is_set():
                await self._exchange()
        finally:
            connection.cancel()
            await asyncio.gather(connection, return_exceptions=True)
            self._leave_page()

    def reload(self) -> None:
        """A new page that knows what its HTML says: which reply is being written, none of its text."""
        old = self.page
        self._leave_page()
        self.page = self._new_page()
        if run := self.current.run:
            self.page.messages[run] = self.current.message
            self.page.lives[run].attempts = old.lives[run].attempts

    def cut(self) -> None:
        self.page.cut()

    def _new_page(self) -> Page:
        person = self.people[len(self.done) // REPLIES_OF_A_CHAT % len(self.people)]
        return Page(self.http, person, base=random.choice(self.addresses))  # noqa: S311 - no secret

    def _leave_page(self) -> None:
        self.gaps += self.page.gaps
        self.server_errors += self.page.server_errors
        self.page.gaps = self.page.server_errors = 0
        self.page.cut()

    async def _stay_connected(self) -> None:
        """To whichever web process takes it, as through a load balancer."""
        while True:
            page = self.page
            page.base = random.choice(self.addresses)  # noqa: S311
            with suppress(aiohttp.ClientError, OSError, TimeoutError):
                async with asyncio.timeout(10):
                    await page.open()
                await page.listen()
            await asyncio.sleep(RECONNECT * random.uniform(0.5, 1))  # noqa: S311

    async def _exchange(self) -> None:
        asked = self.current = Asked(f"Question {len(self.done)} of {self.page.person.conversation}")
        began = time.monotonic()
        try:
            async with asyncio.timeout(BOUND):
                await self._ask(asked)
                await self._wait_for_end(asked)
                await self._take_stock(asked)
        except (Refusal, Unreachable, TimeoutError) as error:
            asked.problem = repr(error)
        asked.seconds = time.monotonic() - began
        self.done.append(asked)
        if len(self.done) % REPLIES_OF_A_CHAT == 0:
            self.current = Asked("")
            self.reload()

    async def _ask(self, asked: Asked) -> None:
        page, snapshots = self.page, self.page.snapshots
        run = await page.ask(asked.question, within=REQUEST_PATIENCE)
        asked.run, asked.message = run, page.messages[run]
        if self.page is not page or page.snapshots > snapshots:
            self.page.expect(run, asked.message)

    async def _wait_for_end(self, asked: Asked) -> None:
        over = False
        while not over:
            live = self.page.lives[asked.run]
            with suppress(TimeoutError):  # looks up now and then: the page may have been reloaded
                over = await asyncio.wait_for(live.over.wait(), 0.2)
        asked.status, asked.attempts = live.status, live.attempts
        asked.heard = "" if live.fetched else live.text

    async def _take_stock(self, asked: Asked) -> None:
        """A page shows the rendered reply once it is over: what the server has then."""
        message = await self.page.request("GET", f"messages/{asked.message}", within=REQUEST_PATIENCE)
        asked.shown = message["text"]


@dataclass
class ChaosBench:
    stack: Stack
    agent: Agent
    chats: int
    tokens: int
    rate: float
    kills: int
    seed: int
    doing: Callable[[str], None]
    figures: list[Figure] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    victims: list[Victim] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    journal: list[tuple[float, str]] = field(default_factory=list)
    """What was done when, to explain what took long."""

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)  # noqa: S311 - to be repeatable
        self.frozen: asyncio.Task[None] | None = None

    async def run(self) -> None:
        self.stack.order("script", tokens=self.tokens, rate=self.rate, per_prompt=True)
        began = time.monotonic()
        async with connections() as http:
            chats = [await self._new_chat(http) for _ in range(self.chats)]
            enough = asyncio.Event()
            talks = [asyncio.create_task(chat.talk(until=enough)) for chat in chats]
            try:
                await self._wreak(chats)
            finally:
                enough.set()
                await asyncio.gather(*talks)
        self.asked = [asked for chat in chats for asked in chat.done]
        await in_database(self.judge, chats, time.monotonic() - began)

    async def _new_chat(self, http: aiohttp.ClientSession) -> Chat:
        number = self.kills // REPLIES_OF_A_CHAT + 2
        people = await in_database(rows.make_people, number, agent=self.agent)
        return Chat(http, people, addresses=self.stack.addresses, tokens=self.tokens)

    async def _wreak(self, chats: list[Chat]) -> None:
        await asyncio.sleep(self.tokens / self.rate)
        weights = [weight for weight, _ in ACTIONS.values()]
        for number, action in enumerate(self.random.choices(list(ACTIONS), weights, k=self.kills), start=1):
            await self._act(action, self.random.choice(chats))
            if number % FREEZE_EVERY == FREEZE_EVERY // 2 and self.frozen is None:
                self.frozen = asyncio.create_task(self._freeze())
            if number % RESTART_EVERY == 0:
                await self._restart("valkey", "restart Valkey")
            if number % 10 == 0 or number == self.kills:
                self.doing(f"{number} of {self.kills}: {sum(len(chat.done) for chat in chats)} replies over")
            await asyncio.sleep(self.random.uniform(*ACTIONS[action][1]))
        if self.frozen is not None:
            await self.frozen

    async def _act(self, action: str, chat: Chat) -> None:
        match action:
            case "kill a worker" if self.frozen is None or self.frozen.done():
                await self._kill_worker()
            case "kill a worker" | "kill a web process":
                await self._restart(self.random.choice(self.stack.web), "kill a web process")
            case "reload a page":
                chat.reload()
                self._write_down(action)
            case "cut a socket":
                chat.cut()
                self._write_down(action)

    async def _kill_worker(self) -> None:
        name = self.random.choice(self.stack.workers)
        await self._note_victims(name)
        await self._restart(name, "kill a worker")

    async def _restart(self, name: str, counted: str) -> None:
        """kill -9 and start again at once. Not in a thread: children end with the thread that started them."""
        self.stack.kill(name)
        self.stack.start_again(name)
        self._write_down(counted, name)

    async def _freeze(self) -> None:
        name = self.random.choice(self.stack.workers)
        pid = self.stack.children[name].pid
        await self._note_victims(name, frozen=True)
        os.kill(pid, signal.SIGSTOP)
        self._write_down("freeze a worker", name)
        await asyncio.sleep(FROZEN)
        os.kill(pid, signal.SIGCONT)
        self.frozen = None

    def _write_down(self, action: str, name: str = "") -> None:
        self.counts[action] += 1
        self.journal.append((time.monotonic(), f"{action} {name}".strip()))

    async def _note_victims(self, name: str, *, frozen: bool = False) -> None:
        running = await in_database(rows.running_on, self.stack.children[name].pid)
        now = time.monotonic()
        self.victims += [Victim(run, attempt, now, frozen) for run, attempt in running.items()]

    def judge(self, chats: list[Chat], seconds: float) -> None:
        """Compare every reply with what the model said: the database's text and the page's."""
        stored = rows.texts(asked.message for asked in self.asked if asked.message)
        ends = rows.attempts(asked.run for asked in self.asked if asked.run)
        given_up = [asked for asked in self.asked if ends.get(asked.run, (0, ""))[1] == "worker_lost"]
        others = [asked for asked in self.asked if asked not in given_up]
        damage = [self.damage(asked, stored.get(asked.message, ("", ""))) for asked in others]
        for action, number in self.counts.items():
            self.add(action, "", [number])
        self.add("length of the whole run", "s", [seconds])
        self.add("replies", "", [len(self.asked)])
        self.add("replies given up because their worker died three times", "", [len(given_up)])
        self.add("other replies not done", "", [len([each for each in others if not is_done(each, stored)])], 0)
        self.add("characters lost", "", [sum(lost for lost, _ in damage)], 0)
        self.add("characters repeated", "", [sum(repeated for _, repeated in damage)], 0)
        self.add("replies whose text is not exactly what the model said", "", [len(self.wrong(others, stored))], 0)
        self.add("replies whose end came with the server's text, not by socket", "", [len(self.fetched(others))])
        self.add("gaps that pages noticed and closed", "", [sum(chat.gaps for chat in chats)])
        self.add("answers 5xx", "", [sum(chat.server_errors for chat in chats)], 0)
        self.add("whole reply, whatever happened", "s", [asked.seconds for asked in others])
        self.add("kill -9 of a worker to the reply going on", "s", self.recoveries(frozen=False), LONGEST_RECOVERY)
        self.add("freeze of a worker to the reply going on", "s", self.recoveries(frozen=True), LONGEST_RECOVERY)

    def damage(self, asked: Asked, stored: tuple[str, str]) -> tuple[int, int]:
        """(characters lost, repeated), the worse of database and page."""
        expected = self.expected(asked)
        both = [compare(text, expected) for text in (stored[1], asked.shown)]
        return max(lost for lost, _ in both), max(repeated for _, repeated in both)

    def wrong(self, replies: Iterable[Asked], stored: dict[str, tuple[str, str]]) -> list[Asked]:
        """Where database or page differ from the model's text, or what was heard is not even its beginning."""
        return [
            asked
            for asked in replies
            if not stored.get(asked.message, ("", ""))[1] == asked.shown == self.expected(asked)
            or not self.expected(asked).startswith(asked.heard)
        ]

    def fetched(self, replies: Iterable[Asked]) -> list[Asked]:
        return [asked for asked in replies if asked.heard != self.expected(asked)]

    def expected(self, asked: Asked) -> str:
        return expected_text(self.tokens, seed=asked.question)

    def recoveries(self, *, frozen: bool) -> list[float]:
        """From each kill to the first text of a later attempt; a run that ended at that moment needed none."""
        attempts = {asked.run: asked.attempts for asked in self.asked}
        found = []
        for victim in self.victims:
            later = [at for number, at in attempts.get(victim.run, {}).items() if number > victim.attempt]
            if later and victim.frozen == frozen:
                found.append(min(later) - victim.at)
        return found

    def slow_recoveries(self) -> list[str]:
        """What else was done while a reply took longer than it may to go on."""
        attempts = {asked.run: asked.attempts for asked in self.asked}
        found = []
        for victim in self.victims:
            later = [at for number, at in attempts.get(victim.run, {}).items() if number > victim.attempt]
            if later and min(later) - victim.at > LONGEST_RECOVERY:
                meanwhile = [
                    f"{at - victim.at:+.1f} s {words}"
                    for at, words in self.journal
                    if victim.at - LONGEST_RECOVERY < at < min(later) and "page" not in words and "socket" not in words
                ]
                found.append(f"{victim.run} went on after {min(later) - victim.at:.1f} s: {'; '.join(meanwhile)}")
        return found

    def problems(self) -> list[Asked]:
        return [asked for asked in self.asked if asked.problem or asked.status != "done"]

    def add(self, what: str, unit: str, values: list[float], bar: float | None = None) -> None:
        self.figures.append(Figure(what, unit, values, bar))


def is_done(asked: Asked, stored: dict[str, tuple[str, str]]) -> bool:
    return asked.status == "done" and stored.get(asked.message, ("", ""))[0] == "done" and not asked.problem


def compare(text: str, expected: str) -> tuple[int, int]:
    """(characters lost, repeated): the scripted model numbers its words, so that each is there once."""
    have, wanted = Counter(text.split(" ")), Counter(expected.split(" "))
    return sum(len(word) + 1 for word in (wanted - have).elements()), sum(
        len(word) + 1 for word in (have - wanted).elements()
    )
