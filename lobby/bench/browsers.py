"""The pages of a bench, in a process of their own: `python -m lobby.bench.browsers`.

Reads a Plan as a line of JSON, says "ready" once every page is attached, begins at the next line, prints a Report as a
line of JSON, and closes its sockets at the line after that.
"""

import asyncio
import random
import sys
import time
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import aiohttp
import orjson
import psutil
import uvloop

from lobby.bench.page import Live, Page, Person, Refusal, Unreachable, connections
from tests.fake_ollama.script import expected_text

SLACK = 180.0  # seconds a reply may take beyond what its tokens need
STOP_AFTER = (0.2, 1.0)  # seconds of a reply's first token, or of its start where it says nothing yet
OPENING_AT_ONCE = 20

Kind = Literal["together", "staggered", "stop", "stop-early", "idle"]


@dataclass(frozen=True, slots=True)
class Plan:
    """`together`: all pages ask at the same moment, `rounds` times. `staggered`: each in its own time. `stop`: each
    reply is stopped while it is written, `stop-early`: before its first token. `idle`: sockets that only stay open."""

    kind: Kind
    people: list[Person]
    addresses: list[str]
    rounds: int = 1
    tokens: int = 200
    rate: float = 50.0
    seconds: float = 0.0  # idle: for how long


@dataclass(slots=True)
class Reply:
    """Times are monotonic seconds, which on Linux all processes share."""

    question: str
    posted: float
    first: float | None = None
    ended: float | None = None
    stopped: float | None = None
    frames: int = 0
    status: str = ""
    whole: bool = False
    problem: str = ""


@dataclass(slots=True)
class Report:
    replies: list[Reply] = field(default_factory=list)
    cpu: float = 0.0  # seconds that this process itself took
    dropped: int = 0  # sockets that closed before their time


class Browsers:
    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.report = Report()
        self.pages: list[Page] = []
        self.listeners: list[asyncio.Task[None]] = []

    async def open(self, http: aiohttp.ClientSession) -> None:
        plan = self.plan
        for number, person in enumerate(plan.people):
            self.pages.append(Page(http, person, base=plan.addresses[number % len(plan.addresses)]))
        for start in range(0, len(self.pages), OPENING_AT_ONCE):
            await asyncio.gather(*(self._open_one(page) for page in self.pages[start : start + OPENING_AT_ONCE]))

    async def _open_one(self, page: Page) -> None:
        await page.open()
        listener = asyncio.create_task(page.listen())
        self.listeners.append(listener)
        attached = asyncio.create_task(page.attached.wait())
        await asyncio.wait({listener, attached}, timeout=SLACK, return_when=asyncio.FIRST_COMPLETED)
        if not attached.done():
            raise Unreachable(f"{page.topic} was not attached (close code {page.close_code})")

    async def run(self) -> None:
        match self.plan.kind:
            case "together":
                for number in range(self.plan.rounds):
                    await asyncio.gather(*(self._exchange(page, number) for page in self.pages))
            case "staggered":
                await asyncio.gather(*(self._in_own_time(page) for page in self.pages))
            case "stop" | "stop-early":
                await asyncio.gather(*(self._stop_replies(page) for page in self.pages))
            case "idle":
                await asyncio.sleep(self.plan.seconds)
        self.report.dropped = sum(listener.done() for listener in self.listeners)

    async def close(self) -> None:
        for listener in self.listeners:
            listener.cancel()
        await asyncio.gather(*self.listeners, return_exceptions=True)
        for page in self.pages:
            page.cut()

    @property
    def length(self) -> float:
        """Seconds that a reply takes at best."""
        return self.plan.tokens / self.plan.rate

    async def _in_own_time(self, page: Page) -> None:
        """Spread over one reply's length, so that at any moment as many begin as end."""
        await asyncio.sleep(random.uniform(0, self.length))  # noqa: S311 - no secret
        for number in range(self.plan.rounds):
            await self._exchange(page, number)
            await asyncio.sleep(random.uniform(0, 0.1 * self.length))  # noqa: S311

    async def _exchange(self, page: Page, number: int) -> None:
        reply = self._new_reply(page, number)
        try:
            run = await page.ask(reply.question)
            live = page.lives[run]
            async with asyncio.timeout(self.length + SLACK):
                await live.over.wait()
            self._settle(reply, live)
        except (Refusal, Unreachable, TimeoutError) as error:
            reply.problem = repr(error)

    def _settle(self, reply: Reply, live: Live) -> None:
        reply.first, reply.ended, reply.frames, reply.status = live.first, live.ended, live.frames, live.status
        reply.whole = live.text == expected_text(self.plan.tokens, seed=reply.question)

    async def _stop_replies(self, page: Page) -> None:
        for number in range(self.plan.rounds):
            reply = self._new_reply(page, number)
            try:
                await self._stop_one(page, reply)
            except (Refusal, Unreachable, TimeoutError) as error:
                reply.problem = repr(error)

    async def _stop_one(self, page: Page, reply: Reply) -> None:
        run = await page.ask(reply.question)
        live = page.lives[run]
        async with asyncio.timeout(self.length + SLACK):
            await (live.speaking if self.plan.kind == "stop" else live.started).wait()
            await asyncio.sleep(random.uniform(*STOP_AFTER))  # noqa: S311
            reply.stopped = time.monotonic()
            await page.cancel(run)
            await live.over.wait()
        self._settle(reply, live)

    def _new_reply(self, page: Page, number: int) -> Reply:
        question = f"Question {number} of {page.person.conversation}: how does a lease work?"
        reply = Reply(question, posted=time.monotonic())
        self.report.replies.append(reply)
        return reply


async def serve(plan: Plan) -> None:
    browsers = Browsers(plan)
    async with connections() as http:
        await browsers.open(http)
        say("ready")
        await asyncio.to_thread(sys.stdin.readline)
        before = cpu()
        await browsers.run()
        browsers.report.cpu = cpu() - before
        say(orjson.dumps(asdict(browsers.report)).decode())
        await asyncio.to_thread(sys.stdin.readline)
        await browsers.close()


def cpu() -> float:
    times = psutil.Process().cpu_times()
    return float(times.user + times.system)


def say(line: str) -> None:
    print(line, flush=True)


def read_plan(line: str) -> Plan:
    given: dict[str, Any] = orjson.loads(line)
    return Plan(**given | {"people": [Person(**person) for person in given["people"]]})


if __name__ == "__main__":
    try:
        uvloop.run(serve(read_plan(sys.stdin.readline())))
    except (Unreachable, aiohttp.ClientError) as error:
        sys.exit(f"a page could not open: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
